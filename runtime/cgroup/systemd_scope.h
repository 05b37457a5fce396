#ifndef GANTRY_RUNTIME_CGROUP_SYSTEMD_SCOPE_H_
#define GANTRY_RUNTIME_CGROUP_SYSTEMD_SCOPE_H_

#include <memory>
#include <string>
#include <vector>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/layout.h"
#include "runtime/cgroup/placeholder.h"
#include "runtime/cgroup/systemd_unit.h"

namespace gantry::runtime {

// Whether systemd can be told to make the cgroup, for those who ask for it by more than the path's
// form (--systemd-cgroup). Errors: InvalidArgument, in runc's words, if the path is not
// "slice:prefix:name"; Unimplemented on a host that has not cgroup v2 alone.
absl::Status CheckSystemdCgroup(absl::string_view cgroups_path);

// A container's cgroup that systemd made: a transient scope, delegated. Only making it, its limits
// and its removal are systemd's affair; everything else is that of the cgroup's directory. On v2
// alone.
class SystemdScope final : public Cgroup {
 public:
  // Errors: as CgroupV2::Create; FailedPrecondition if systemd is not the init, or refuses.
  static absl::StatusOr<std::unique_ptr<Cgroup>> Create(const CgroupLayout& layout,
                                                        absl::string_view cgroups_path,
                                                        const LinuxResources& resources);
  static absl::StatusOr<std::unique_ptr<Cgroup>> Open(const CgroupLayout& layout,
                                                      absl::string_view cgroups_path);

  absl::Status AddProcess(pid_t pid) override;
  // The first one keeps the scope alive until it goes: the container's init is in it by then.
  [[nodiscard]] absl::StatusOr<Entrance> OpenEntrance() const override;
  absl::Status Apply(const LinuxResources& resources) override;
  absl::Status Freeze() override { return inner_->Freeze(); }
  absl::Status Thaw() override { return inner_->Thaw(); }
  absl::StatusOr<bool> Frozen() const override { return inner_->Frozen(); }
  absl::StatusOr<std::vector<pid_t>> Pids() const override { return inner_->Pids(); }
  absl::Status KillAll(int signal) override { return inner_->KillAll(signal); }
  absl::StatusOr<CgroupStats> Stats() const override { return inner_->Stats(); }
  absl::StatusOr<uint64_t> OomKills() const override { return inner_->OomKills(); }
  absl::StatusOr<OomWatch> WatchOom() const override { return inner_->WatchOom(); }
  absl::Status Remove() override;
  absl::Status RemoveIfEmpty() override;

 private:
  SystemdScope(std::string unit, std::unique_ptr<Cgroup> inner)
      : unit_(std::move(unit)), inner_(std::move(inner)) {}

  std::string unit_;
  std::unique_ptr<Cgroup> inner_;
  mutable std::shared_ptr<Placeholder> placeholder_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_SYSTEMD_SCOPE_H_
