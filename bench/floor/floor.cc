#include "bench/floor/floor.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "bench/floor/child.h"

namespace gantry::bench {
namespace {

struct CloneArgs {
  uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
      set_tid_size, cgroup;
};

// A writable page that survives clone3.
absl::StatusOr<SharedPage*> Share() {
  void* const page =
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return ErrnoError(errno, "map a shared page");
  return static_cast<SharedPage*>(page);
}

// The mount points of the cgroup hierarchies, unified or not.
absl::StatusOr<std::vector<std::string>> Hierarchies() {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/self/mountinfo"));
  std::vector<std::string> points;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StrContains(line, " - cgroup")) continue;
    const std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() > 4) points.push_back(fields[4]);
  }
  return points;
}

// The container's cgroup in every hierarchy.
class Cgroups {
 public:
  absl::Status Make(const std::string& name) {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> points, Hierarchies());
    for (const std::string& point : points) {
      const std::string directory = absl::StrCat(point, "/", name);
      if (::mkdir(directory.c_str(), 0755) != 0) {
        return ErrnoError(errno, absl::StrCat("make cgroup ", directory));
      }
      directories_.push_back(directory);
      if (absl::StrContains(point, "cpuset")) GANTRY_RETURN_IF_ERROR(InheritCpus(point, directory));
      absl::StatusOr<UniqueFd> tasks = OpenFile(directory + "/tasks", O_WRONLY);
      if (absl::IsNotFound(tasks.status())) {
        GANTRY_ASSIGN_OR_RETURN(unified_, OpenFile(directory, O_RDONLY | O_DIRECTORY));
        continue;
      }
      GANTRY_RETURN_IF_ERROR(tasks.status());
      tasks_.push_back(*std::move(tasks));
      raw_.push_back(tasks_.back().get());
    }
    return absl::OkStatus();
  }

  absl::Status Remove() {
    tasks_.clear();
    unified_.reset();
    for (const std::string& directory : directories_) {
      if (::rmdir(directory.c_str()) != 0) {
        return ErrnoError(errno, absl::StrCat("remove cgroup ", directory));
      }
    }
    directories_.clear();
    return absl::OkStatus();
  }

  ~Cgroups() { Remove().IgnoreError(); }
  [[nodiscard]] const std::vector<int>& tasks() const { return raw_; }
  // The directory that the process is to be born in; -1 without a unified hierarchy.
  [[nodiscard]] int unified() const { return unified_.get(); }

 private:
  static absl::Status InheritCpus(const std::string& point, const std::string& directory) {
    for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
      GANTRY_ASSIGN_OR_RETURN(const std::string value, ReadFile(point + file));
      GANTRY_RETURN_IF_ERROR(WriteExisting(directory + file, value));
    }
    return absl::OkStatus();
  }

  std::vector<std::string> directories_;
  UniqueFd unified_;
  std::vector<UniqueFd> tasks_;
  std::vector<int> raw_;
};

absl::Status MakeDirectory(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return absl::OkStatus();
  return ErrnoError(errno, absl::StrCat("make directory ", path));
}

struct Clocked {
  FloorRun steps;
  int64_t last = MonotonicNanos();
  void Until(const std::string& name, int64_t now) {
    steps.emplace_back(name, now - last);
    last = now;
  }
};

}  // namespace

absl::StatusOr<FloorRun> RunFloor(const FloorOptions& options, int number) {
  GANTRY_ASSIGN_OR_RETURN(SharedPage* const page, Share());
  const std::string snapshot = absl::StrCat(options.work, "/snapshot-", number);
  const std::string bundle = absl::StrCat(options.tmpfs, "/bundle-", number);
  const std::string overlay = absl::StrCat("lowerdir=", options.root_tree, ",upperdir=", snapshot,
                                           "/fs,workdir=", snapshot, "/work");
  std::vector<const char*> argv;
  for (const std::string& argument : options.argv) argv.push_back(argument.c_str());
  argv.push_back(nullptr);

  Clocked clock;
  for (const std::string& path : {snapshot, snapshot + "/fs", snapshot + "/work", bundle}) {
    GANTRY_RETURN_IF_ERROR(MakeDirectory(path));
  }
  clock.Until("directories", MonotonicNanos());
  Cgroups cgroups;
  GANTRY_RETURN_IF_ERROR(cgroups.Make(absl::StrCat("gantry-floor-", ::getpid(), "-", number)));
  clock.Until("cgroups", MonotonicNanos());

  int pidfd = -1;
  CloneArgs clone{};
  clone.flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;
  if (options.network) clone.flags |= CLONE_NEWNET;
  if (cgroups.unified() >= 0) {
    clone.flags |= CLONE_INTO_CGROUP;
    clone.cgroup = static_cast<uint64_t>(cgroups.unified());
  }
  clone.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  clone.exit_signal = SIGCHLD;
  const ChildArguments arguments{.tasks_fds = cgroups.tasks().data(),
                                 .tasks_count = static_cast<int>(cgroups.tasks().size()),
                                 .overlay_options = overlay.c_str(),
                                 .root = bundle.c_str(),
                                 .argv = argv.data(),
                                 .network_is_own = options.network,
                                 .page = page};
  const long pid = ::syscall(SYS_clone3, &clone, sizeof clone);
  if (pid == 0) RunFloorChild(arguments);
  if (pid < 0) return ErrnoError(errno, "clone3");
  const UniqueFd owned(pidfd);
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0 && errno == EINTR) {
  }
  const int64_t ended = MonotonicNanos();
  if (page->failed_line != 0) {
    return ErrnoError(page->error, absl::StrCat("child.cc:", page->failed_line));
  }
  if (info.si_status != 0) {
    return absl::InternalError(absl::StrCat(options.argv[0], " ended with ", info.si_status));
  }
  constexpr std::pair<ChildStamp, const char*> kStamps[] = {
      {kBorn, "clone"},           {kInCgroups, "enter cgroups"}, {kRootMounted, "overlay"},
      {kMounted, "other mounts"}, {kPivoted, "pivot"},           {kExecuting, "close"}};
  for (const auto& [stamp, name] : kStamps) clock.Until(name, page->nanos[stamp]);
  clock.Until("exec, run, exit", ended);
  GANTRY_RETURN_IF_ERROR(cgroups.Remove());
  clock.Until("remove cgroups", MonotonicNanos());
  GANTRY_RETURN_IF_ERROR(RemoveTree(bundle));
  GANTRY_RETURN_IF_ERROR(RemoveTree(snapshot));
  clock.Until("remove directories", MonotonicNanos());
  ::munmap(page, 4096);
  return clock.steps;
}

}  // namespace gantry::bench
