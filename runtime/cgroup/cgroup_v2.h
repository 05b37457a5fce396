#ifndef GANTRY_RUNTIME_CGROUP_CGROUP_V2_H_
#define GANTRY_RUNTIME_CGROUP_CGROUP_V2_H_

#include <memory>
#include <string>
#include <vector>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/directory.h"
#include "runtime/cgroup/layout.h"

namespace gantry::runtime {

// A container's cgroup where v2 is alone: one directory for everything.
class CgroupV2 final : public Cgroup {
 public:
  // `layout` names the tree; on a hybrid host one without its v1 hierarchies may be given (tests).
  static absl::StatusOr<std::unique_ptr<Cgroup>> Create(const CgroupLayout& layout,
                                                        absl::string_view cgroups_path,
                                                        const LinuxResources& resources);
  // The cgroup at `directory`, which somebody else made for the container, with limits.
  static absl::StatusOr<std::unique_ptr<Cgroup>> Adopt(const std::string& directory,
                                                       const LinuxResources& resources);
  static absl::StatusOr<std::unique_ptr<Cgroup>> Open(const CgroupLayout& layout,
                                                      absl::string_view cgroups_path);

  absl::Status AddProcess(pid_t pid) override;
  [[nodiscard]] absl::StatusOr<Entrance> OpenEntrance() const override;
  absl::Status Apply(const LinuxResources& resources) override;
  absl::Status Freeze() override;
  absl::Status Thaw() override;
  absl::StatusOr<bool> Frozen() const override;
  absl::StatusOr<std::vector<pid_t>> Pids() const override;
  absl::Status KillAll(int signal) override;
  absl::StatusOr<CgroupStats> Stats() const override;
  absl::StatusOr<uint64_t> OomKills() const override;
  absl::StatusOr<OomWatch> WatchOom() const override;
  absl::Status Remove() override;
  absl::Status RemoveIfEmpty() override { return dir_.Remove(); }

 private:
  explicit CgroupV2(CgroupDir dir) : dir_(std::move(dir)) {}

  CgroupDir dir_;
};

// The counters (stats_v2.cc).
absl::StatusOr<StatsV2> ReadStatsV2(const CgroupDir& dir);

// memory.events. Absent without a memory controller.
absl::StatusOr<MemoryEventsV2> ReadMemoryEventsV2(const CgroupDir& dir);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_CGROUP_V2_H_
