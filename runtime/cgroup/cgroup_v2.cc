#include "runtime/cgroup/cgroup_v2.h"

#include <fcntl.h>
#include <signal.h>

#include "absl/strings/ascii.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"
#include "runtime/cgroup/processes.h"
#include "runtime/cgroup/resources_v2.h"
#include "runtime/cgroup/settle.h"
#include "runtime/cgroup/tree_v2.h"

namespace gantry::runtime {

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupV2::Create(const CgroupLayout& layout,
                                                         absl::string_view cgroups_path,
                                                         const LinuxResources& resources) {
  GANTRY_ASSIGN_OR_RETURN(
      MadeCgroup made, MakeCgroupV2(layout.unified_mount, CgroupDirectoryV2(layout, cgroups_path)));
  // One that was there before may have rules of its own.
  const CgroupAge age = made.made ? CgroupAge::kNew : CgroupAge::kExisting;
  const absl::Status applied = ApplyResourcesV2(made.dir, resources, age, made.unavailable);
  if (!applied.ok()) {
    if (made.made) made.dir.Remove().IgnoreError();
    return applied;
  }
  return std::unique_ptr<Cgroup>(new CgroupV2(std::move(made.dir)));
}

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupV2::Adopt(const std::string& directory,
                                                        const LinuxResources& resources) {
  GANTRY_ASSIGN_OR_RETURN(CgroupDir dir, CgroupDir::Open(directory));
  GANTRY_RETURN_IF_ERROR(ApplyResourcesV2(dir, resources, CgroupAge::kNew, {}));
  return std::unique_ptr<Cgroup>(new CgroupV2(std::move(dir)));
}

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupV2::Open(const CgroupLayout& layout,
                                                       absl::string_view cgroups_path) {
  absl::StatusOr<CgroupDir> dir = CgroupDir::Open(CgroupDirectoryV2(layout, cgroups_path));
  if (absl::IsNotFound(dir.status())) {
    return absl::NotFoundError(absl::StrCat("cgroup ", cgroups_path, " does not exist"));
  }
  if (!dir.ok()) return dir.status();
  return std::unique_ptr<Cgroup>(new CgroupV2(*std::move(dir)));
}

absl::Status CgroupV2::AddProcess(pid_t pid) {
  return dir_.Write("cgroup.procs", absl::StrCat(pid));
}

absl::StatusOr<Cgroup::Entrance> CgroupV2::OpenEntrance() const {
  Entrance entrance;
  entrance.unified_dir = dir_.fd();
  GANTRY_ASSIGN_OR_RETURN(const std::string below, dir_.Read("cgroup.subtree_control"));
  if (absl::StripAsciiWhitespace(below).empty()) return entrance;
  // The container divides its cgroup itself (it runs systemd, or containers), so that the kernel
  // takes no process in the cgroup itself: one more goes where its init is.
  absl::StatusOr<CgroupDir> leaf = dir_.OfLowestPid();
  if (absl::IsNotFound(leaf.status())) return entrance;
  if (!leaf.ok()) return leaf.status();
  GANTRY_ASSIGN_OR_RETURN(entrance.leaf, leaf->Duplicate());
  entrance.unified_dir = entrance.leaf.get();
  return entrance;
}

absl::Status CgroupV2::Apply(const LinuxResources& resources) {
  return ApplyResourcesV2(dir_, resources, CgroupAge::kExisting, {});
}

absl::Status CgroupV2::Freeze() {
  GANTRY_RETURN_IF_ERROR(dir_.Write("cgroup.freeze", "1"));
  const absl::Status status = WaitForEvent(dir_, "frozen", 1, kSettle);
  // Half frozen is worse than running.
  if (!status.ok()) dir_.Write("cgroup.freeze", "0").IgnoreError();
  return status;
}

absl::Status CgroupV2::Thaw() {
  GANTRY_RETURN_IF_ERROR(dir_.Write("cgroup.freeze", "0"));
  return WaitForEvent(dir_, "frozen", 0, kSettle);
}

absl::StatusOr<bool> CgroupV2::Frozen() const {
  GANTRY_ASSIGN_OR_RETURN(const uint64_t frozen, dir_.ReadNumber("cgroup.freeze"));
  return frozen != 0;
}

absl::StatusOr<std::vector<pid_t>> CgroupV2::Pids() const {
  std::set<pid_t> pids;
  GANTRY_RETURN_IF_ERROR(dir_.CollectPids(&pids));
  return std::vector<pid_t>(pids.begin(), pids.end());
}

absl::Status CgroupV2::KillAll(int signal) {
  // 5.14: the kernel kills the whole tree, whatever forks in it meanwhile, frozen or not. Where it
  // cannot (an older kernel, a threaded cgroup) or there is no cgroup left, the rest finds out.
  if (signal == SIGKILL && dir_.Write("cgroup.kill", "1").ok()) return absl::OkStatus();
  bool held = false;
  const auto hold_still = [this, &held] {
    // Not waited for: whatever stops already forks no more. SIGKILL takes effect all the same.
    held = dir_.Write("cgroup.freeze", "1").ok();
  };
  const absl::Status status = SignalProcesses(
      [this](std::set<pid_t>* pids) { return dir_.CollectPids(pids); }, signal, hold_still);
  if (held) dir_.Write("cgroup.freeze", "0").IgnoreError();
  return status;
}

absl::StatusOr<CgroupStats> CgroupV2::Stats() const {
  CgroupStats stats;
  stats.version = CgroupVersion::kV2;
  GANTRY_ASSIGN_OR_RETURN(stats.v2, ReadStatsV2(dir_));
  return stats;
}

absl::StatusOr<uint64_t> CgroupV2::OomKills() const {
  // Of the whole tree, and not memory.events.local: a kill counts where its victim was, so that of
  // a process in a cgroup that the container made counts there, even if the container's own limit
  // was the reason.
  const absl::StatusOr<MemoryEventsV2> events = ReadMemoryEventsV2(dir_);
  if (absl::IsNotFound(events.status())) return 0;
  if (!events.ok()) return events.status();
  return events->oom_kill;
}

absl::StatusOr<OomWatch> CgroupV2::WatchOom() const {
  absl::StatusOr<UniqueFd> events = OpenFileAt(dir_.fd(), "memory.events", O_RDONLY);
  if (absl::IsNotFound(events.status())) {
    return absl::UnimplementedError(
        absl::StrCat("cgroup ", dir_.path(), " has no memory controller"));
  }
  if (!events.ok()) return Annotate(events.status(), dir_.path());
  return OomWatch::OfFile(*std::move(events));
}

absl::Status CgroupV2::Remove() {
  Backoff backoff(kSettle);
  bool told = false;
  for (;;) {
    const absl::Status status = dir_.Remove();
    if (status.ok()) return status;
    if (ErrnoOf(status) != EBUSY && ErrnoOf(status) != ENOTEMPTY) return status;
    if (!told) {
      told = true;
      GANTRY_RETURN_IF_ERROR(WithCode(WaitForEvent(dir_, "populated", 0, kSettle), status.code()));
    } else if (!backoff.Wait()) {
      return status;
    }
  }
}

}  // namespace gantry::runtime
