#ifndef GANTRY_RUNTIME_CGROUP_CGROUP_V1_H_
#define GANTRY_RUNTIME_CGROUP_CGROUP_V1_H_

#include <memory>
#include <string>
#include <vector>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/directory.h"
#include "runtime/cgroup/layout.h"

namespace gantry::runtime {

// A container's directory in one hierarchy, and what that hierarchy controls.
struct ControllerDir {
  std::vector<std::string> controllers;
  CgroupDir dir;
  // Made by Create, which removes it again when it fails.
  bool made = false;
};

// The container's directories in all v1 hierarchies (and in the v2 tree of a hybrid host).
class CgroupDirs {
 public:
  explicit CgroupDirs(std::vector<ControllerDir> all) : all_(std::move(all)) {}
  // The directory of the hierarchy that has `controller`, or nullptr.
  [[nodiscard]] const CgroupDir* Find(absl::string_view controller) const;
  [[nodiscard]] const std::vector<ControllerDir>& all() const { return all_; }

 private:
  std::vector<ControllerDir> all_;
};

class CgroupV1 final : public Cgroup {
 public:
  static absl::StatusOr<std::unique_ptr<Cgroup>> Create(const CgroupLayout& layout,
                                                        absl::string_view cgroups_path,
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
  absl::Status RemoveIfEmpty() override;

 private:
  explicit CgroupV1(CgroupDirs dirs) : dirs_(std::move(dirs)) {}
  absl::Status WaitForState(absl::string_view state) const;

  CgroupDirs dirs_;
};

// Writes limits and device rules (resources_v1.cc). A new cgroup gets its device rules even if
// there are none: everything is denied then but what every container has. Errors: InvalidArgument
// naming the spec's field where the kernel refuses the value, Unimplemented where the host lacks
// the controller.
absl::Status ApplyResourcesV1(const CgroupDirs& dirs, const LinuxResources& resources,
                              CgroupAge age);

// The counters (stats_v1.cc).
absl::StatusOr<StatsV1> ReadStatsV1(const CgroupDirs& dirs);

// memory.oom_control's three lines.
absl::StatusOr<OomControlV1> ReadOomControlV1(const CgroupDir& memory);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_CGROUP_V1_H_
