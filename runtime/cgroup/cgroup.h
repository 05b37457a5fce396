#ifndef GANTRY_RUNTIME_CGROUP_CGROUP_H_
#define GANTRY_RUNTIME_CGROUP_CGROUP_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "runtime/cgroup/oom_watch.h"
#include "runtime/cgroup/stats.h"
#include "runtime/spec/resources.h"

namespace gantry::runtime {

// One container's cgroup in every hierarchy of the host: cgroup v1, v1 with a v2 tree beside it
// ("hybrid"), or v2 alone. Hides which. The host's layout is read once in a process's life.
//
// Thread-compatible. The object owns descriptors, not the directories: they stay until Remove.
// Source: OCI runtime-spec 1.2, config-linux.md "Control groups"; Linux admin-guide/cgroup-v1 and
// cgroup-v2.rst.
class Cgroup {
 public:
  virtual ~Cgroup() = default;
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;

  // Makes the directories and writes the limits. On v2 alone, a path "slice:prefix:name" is a scope
  // that systemd makes (systemd_unit.h). `cgroups_path` is the spec's linux.cgroupsPath: an
  // absolute one begins at the root of each hierarchy, a relative one below this process's own
  // cgroup (beside it on v2, where a cgroup of processes has none below it); ".." is resolved by
  // text and cannot leave the root. Parents that are missing are made. On an error everything that
  // was made is removed again. Errors: InvalidArgument naming the field if the path is empty or the
  // root, or if the kernel refuses a value; Unimplemented if a limit needs a controller that the
  // host does not have; FailedPrecondition if the cgroup exists and holds processes.
  static absl::StatusOr<std::unique_ptr<Cgroup>> Create(absl::string_view cgroups_path,
                                                        const LinuxResources& resources);

  // The cgroup that Create made before. Of another process: `creator` is what that one read in its
  // /proc/self/cgroup, where a relative path begins; empty is this process's own.
  // Errors: NotFound if it is in no hierarchy.
  static absl::StatusOr<std::unique_ptr<Cgroup>> Open(absl::string_view cgroups_path,
                                                      absl::string_view creator = "");

  // Moves a process (all its threads) in. Errors: NotFound if it is gone.
  virtual absl::Status AddProcess(pid_t pid) = 0;

  // How a process that this one is about to clone becomes a member without AddProcess, which waits
  // for every fork of the machine to pause (cgroup_threadgroup_rwsem, an RCU grace period, mostly
  // several milliseconds): it is born in the directory of the v2 tree (CLONE_INTO_CGROUP), and then
  // puts itself into each v1 hierarchy by writing "0" to its file `tasks`. A single thread that
  // moves itself takes no such lock (since Linux 5.5).
  struct Entrance {
    struct TasksFile {
      UniqueFd file;     // open for writing
      std::string path;  // for messages
    };
    int unified_dir = -1;  // -1: there is no v2 tree; the Cgroup's own, or `leaf`
    // v2 alone: where the processes are if the container has made cgroups within its own.
    UniqueFd leaf;
    // Lives until the child was cloned.
    std::shared_ptr<void> keep;
    std::vector<TasksFile> tasks;
  };
  [[nodiscard]] virtual absl::StatusOr<Entrance> OpenEntrance() const = 0;

  // Changes limits; absent fields are left alone. Fields are written in an order that the kernel
  // accepts; an error may leave the earlier ones changed.
  virtual absl::Status Apply(const LinuxResources& resources) = 0;

  // Both return when the kernel says that every process has stopped or runs again.
  virtual absl::Status Freeze() = 0;
  virtual absl::Status Thaw() = 0;
  // True as soon as a freeze was asked for.
  [[nodiscard]] virtual absl::StatusOr<bool> Frozen() const = 0;

  // Of the cgroup and of those below it, ascending.
  [[nodiscard]] virtual absl::StatusOr<std::vector<pid_t>> Pids() const = 0;

  // Sends `signal` to every process by pidfd, again until no new one appears (SIGKILL), and thaws
  // what was frozen so that SIGKILL takes effect. Does not wait for them to be reaped.
  virtual absl::Status KillAll(int signal) = 0;

  [[nodiscard]] virtual absl::StatusOr<CgroupStats> Stats() const = 0;

  // How many processes the kernel's OOM killer ended here since the cgroup was made. 0 without a
  // memory controller.
  [[nodiscard]] virtual absl::StatusOr<uint64_t> OomKills() const = 0;

  // Errors: Unimplemented without a memory controller.
  [[nodiscard]] virtual absl::StatusOr<OomWatch> WatchOom() const = 0;

  // Removes the cgroup and those that the container made below it; parents stay. Kills nothing, and
  // waits a bounded time for processes that are already dying. Absent is OK.
  // Errors: FailedPrecondition if processes are still in it.
  virtual absl::Status Remove() = 0;
  // Remove, once and without waiting: for a cgroup that is most likely empty. Some of the
  // hierarchies may be gone after an error. Errors: FailedPrecondition if a process is in it.
  virtual absl::Status RemoveIfEmpty() = 0;

 protected:
  Cgroup() = default;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_CGROUP_H_
