#include "runtime/cgroup/cgroup_v1.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "runtime/cgroup/processes.h"
#include "runtime/cgroup/settle.h"

namespace gantry::runtime {
namespace {

// Not a controller: how the v2 tree of a hybrid host is called among the hierarchies.
constexpr char kUnified[] = "unified";

// cpus and mems are empty in a new cpuset and nothing can be put into it then: each level takes its
// parent's.
absl::Status InheritCpuset(const Hierarchy& hierarchy, const std::string& directory) {
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    std::vector<std::string> missing;
    std::string at = directory;
    std::string value;
    while (value.empty()) {
      GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile(absl::StrCat(at, "/", file)));
      value = std::string(absl::StripAsciiWhitespace(text));
      if (!value.empty() || at == hierarchy.mount_point) break;
      missing.push_back(at);
      at = at.substr(0, at.rfind('/'));
    }
    for (auto level = missing.rbegin(); level != missing.rend(); ++level) {
      GANTRY_RETURN_IF_ERROR(WriteExisting(absl::StrCat(*level, "/", file), value));
    }
  }
  return absl::OkStatus();
}

bool Has(const Hierarchy& hierarchy, absl::string_view controller) {
  for (const std::string& one : hierarchy.controllers) {
    if (one == controller) return true;
  }
  return false;
}

// Every place that the container has a directory in: v1's hierarchies and, on a hybrid host, the v2
// tree.
std::vector<Hierarchy> Places(const CgroupLayout& layout) {
  std::vector<Hierarchy> places = layout.v1;
  if (!layout.unified_mount.empty()) {
    places.push_back(Hierarchy{{kUnified}, layout.unified_mount, layout.unified_own_path});
  }
  return places;
}

bool IsBusy(const absl::Status& status) {
  return ErrnoOf(status) == EBUSY || ErrnoOf(status) == ENOTEMPTY;
}

}  // namespace

const CgroupDir* CgroupDirs::Find(absl::string_view controller) const {
  for (const ControllerDir& one : all_) {
    for (const std::string& has : one.controllers) {
      if (has == controller) return &one.dir;
    }
  }
  return nullptr;
}

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupV1::Create(const CgroupLayout& layout,
                                                         absl::string_view cgroups_path,
                                                         const LinuxResources& resources) {
  std::vector<ControllerDir> all;
  const absl::Status status = [&]() -> absl::Status {
    for (const Hierarchy& place : Places(layout)) {
      const std::string path = CgroupDirectory(place.mount_point, place.own_path, cgroups_path);
      bool made = false;
      GANTRY_ASSIGN_OR_RETURN(CgroupDir dir, CgroupDir::MakeFresh(path, &made));
      all.push_back(ControllerDir{place.controllers, std::move(dir), made});
      if (Has(place, "cpuset")) GANTRY_RETURN_IF_ERROR(InheritCpuset(place, path));
    }
    return absl::OkStatus();
  }();
  std::unique_ptr<CgroupV1> cgroup(new CgroupV1(CgroupDirs(std::move(all))));
  const absl::Status applied =
      status.ok() ? ApplyResourcesV1(cgroup->dirs_, resources, CgroupAge::kNew) : status;
  if (!applied.ok()) {
    for (const ControllerDir& one : cgroup->dirs_.all()) {
      if (one.made) one.dir.Remove().IgnoreError();
    }
    return applied;
  }
  return cgroup;
}

absl::StatusOr<std::unique_ptr<Cgroup>> CgroupV1::Open(const CgroupLayout& layout,
                                                       absl::string_view cgroups_path) {
  std::vector<ControllerDir> found;
  for (const Hierarchy& place : Places(layout)) {
    absl::StatusOr<CgroupDir> dir =
        CgroupDir::Open(CgroupDirectory(place.mount_point, place.own_path, cgroups_path));
    if (dir.ok()) {
      found.push_back(ControllerDir{place.controllers, *std::move(dir)});
    } else if (!absl::IsNotFound(dir.status())) {
      return dir.status();
    }
  }
  if (found.empty())
    return absl::NotFoundError(absl::StrCat("cgroup ", cgroups_path, " is in no hierarchy"));
  return std::unique_ptr<Cgroup>(new CgroupV1(CgroupDirs(std::move(found))));
}

absl::Status CgroupV1::AddProcess(pid_t pid) {
  const std::string text = absl::StrCat(pid);
  for (const ControllerDir& one : dirs_.all()) {
    GANTRY_RETURN_IF_ERROR(one.dir.Write("cgroup.procs", text));
  }
  return absl::OkStatus();
}

absl::StatusOr<Cgroup::Entrance> CgroupV1::OpenEntrance() const {
  Entrance entrance;
  for (const ControllerDir& one : dirs_.all()) {
    if (one.controllers[0] == kUnified) {
      entrance.unified_dir = one.dir.fd();
      continue;
    }
    UniqueFd file(::openat(one.dir.fd(), "tasks", O_WRONLY | O_CLOEXEC));
    if (!file.valid()) return ErrnoError(errno, absl::StrCat("open ", one.dir.path(), "/tasks"));
    entrance.tasks.push_back({std::move(file), one.dir.path()});
  }
  return entrance;
}

absl::Status CgroupV1::Apply(const LinuxResources& resources) {
  return ApplyResourcesV1(dirs_, resources, CgroupAge::kExisting);
}

absl::Status CgroupV1::WaitForState(absl::string_view state) const {
  const CgroupDir* const freezer = dirs_.Find("freezer");
  if (freezer == nullptr) return absl::UnimplementedError("this host has no freezer controller");
  Backoff backoff(kSettle);
  do {
    // Written again each time: a process that was forked meanwhile can hold the state at FREEZING.
    GANTRY_RETURN_IF_ERROR(freezer->Write("freezer.state", state));
    GANTRY_ASSIGN_OR_RETURN(const std::string now, freezer->Read("freezer.state"));
    if (absl::StripAsciiWhitespace(now) == state) return absl::OkStatus();
  } while (backoff.Wait());
  return absl::UnavailableError(
      absl::StrCat("cgroup ", freezer->path(), " does not become ", state));
}

absl::Status CgroupV1::Freeze() {
  const absl::Status status = WaitForState("FROZEN");
  // Half frozen is worse than running.
  if (!status.ok()) Thaw().IgnoreError();
  return status;
}

absl::Status CgroupV1::Thaw() { return WaitForState("THAWED"); }

absl::StatusOr<bool> CgroupV1::Frozen() const {
  const CgroupDir* const freezer = dirs_.Find("freezer");
  if (freezer == nullptr) return false;
  GANTRY_ASSIGN_OR_RETURN(const std::string state, freezer->Read("freezer.state"));
  return absl::StripAsciiWhitespace(state) != "THAWED";
}

absl::StatusOr<std::vector<pid_t>> CgroupV1::Pids() const {
  // One hierarchy is enough, all hold the same; devices is everywhere and nothing else manages it.
  const CgroupDir* dir = dirs_.Find("devices");
  if (dir == nullptr) dir = &dirs_.all().front().dir;
  std::set<pid_t> pids;
  GANTRY_RETURN_IF_ERROR(dir->CollectPids(&pids));
  return std::vector<pid_t>(pids.begin(), pids.end());
}

absl::Status CgroupV1::KillAll(int signal) {
  const auto collect = [this](std::set<pid_t>* pids) -> absl::Status {
    for (const ControllerDir& one : dirs_.all()) GANTRY_RETURN_IF_ERROR(one.dir.CollectPids(pids));
    return absl::OkStatus();
  };
  const auto hold_still = [this] {
    // Not waited for: whatever stops already forks no more.
    if (const CgroupDir* const freezer = dirs_.Find("freezer"); freezer != nullptr) {
      freezer->Write("freezer.state", "FROZEN").IgnoreError();
    }
  };
  GANTRY_RETURN_IF_ERROR(SignalProcesses(collect, signal, hold_still));
  if (signal != SIGKILL) return absl::OkStatus();
  const absl::StatusOr<bool> frozen = Frozen();
  return frozen.ok() && *frozen ? Thaw() : absl::OkStatus();
}

absl::StatusOr<CgroupStats> CgroupV1::Stats() const {
  CgroupStats stats;
  stats.version = CgroupVersion::kV1;
  GANTRY_ASSIGN_OR_RETURN(stats.v1, ReadStatsV1(dirs_));
  return stats;
}

absl::StatusOr<uint64_t> CgroupV1::OomKills() const {
  const CgroupDir* const memory = dirs_.Find("memory");
  if (memory == nullptr) return 0;
  GANTRY_ASSIGN_OR_RETURN(const OomControlV1 control, ReadOomControlV1(*memory));
  return control.oom_kill;
}

absl::StatusOr<OomWatch> CgroupV1::WatchOom() const {
  const CgroupDir* const memory = dirs_.Find("memory");
  if (memory == nullptr) return absl::UnimplementedError("this host has no memory controller");
  UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) return ErrnoError(errno, "create an eventfd");
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd control,
                          OpenFileAt(memory->fd(), "memory.oom_control", O_RDONLY));
  GANTRY_RETURN_IF_ERROR(
      memory->Write("cgroup.event_control", absl::StrCat(event.get(), " ", control.get())));
  return OomWatch::OfEventFd(std::move(event));
}

absl::Status CgroupV1::RemoveIfEmpty() {
  absl::Status busy;
  for (const ControllerDir& one : dirs_.all()) {
    const absl::Status status = one.dir.Remove();
    if (!status.ok() && !IsBusy(status)) return status;
    busy.Update(status);
  }
  return busy;
}

absl::Status CgroupV1::Remove() {
  Backoff backoff(kSettle);
  bool told = false;
  for (;;) {
    const absl::Status busy = RemoveIfEmpty();
    if (busy.ok() || !IsBusy(busy)) return busy;
    // Processes in it that are only dying leave every hierarchy at the same moment; the v2 tree of
    // a hybrid host tells when. Without one there is no event to wait for.
    const CgroupDir* const unified = dirs_.Find(kUnified);
    if (unified != nullptr && !told) {
      told = true;
      GANTRY_RETURN_IF_ERROR(
          WithCode(WaitForEvent(*unified, "populated", 0, kSettle), busy.code()));
    } else if (!backoff.Wait()) {
      return busy;
    }
  }
}

}  // namespace gantry::runtime
