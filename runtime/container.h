#ifndef GANTRY_RUNTIME_CONTAINER_H_
#define GANTRY_RUNTIME_CONTAINER_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/stats.h"
#include "runtime/process/identity.h"
#include "runtime/seccomp/seccomp.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// A mount for the container's root, as a snapshotter hands it out. `target` is a path below the
// root; empty is the root itself.
struct Mount {
  std::string type;
  std::string source;
  std::string target;
  std::vector<std::string> options;
};

// Descriptors that become 0, 1 and 2 of a process. Borrowed; -1 is /dev/null. Not used when the
// process has a terminal.
struct Stdio {
  int in = -1;
  int out = -1;
  int err = -1;
};

struct CreateOptions {
  std::string id;
  std::string bundle;  // absolute directory
  Spec spec;
  // Mounted inside the container's mount namespace on `spec.root.path`. Empty: that directory is
  // the root as it is.
  std::vector<Mount> rootfs_mounts;
  Stdio stdio;
  SeccompCache* seccomp = nullptr;  // null: programs are compiled and not kept
  bool no_pivot = false;
  bool no_new_keyring = false;
  // Descriptors 3, 4, .. of the caller that the process inherits; all of them must be open.
  unsigned preserve_fds = 0;
  // Where this user may make no cgroup the container goes without, unless the spec sets limits: it
  // stays in the caller's. For who is not root.
  bool cgroup_optional = false;
  // Of ListenForStart, borrowed: what init waits on once Detach was called. -1: none.
  int start_listener = -1;
  // Called with the init's pid while that makes its mounts: what the caller has to write down of it
  // costs no time then.
  std::function<void(pid_t)> meanwhile;
};

// What another process needs to take up a container that it did not create.
struct LoadOptions {
  std::string id;
  std::string bundle;
  Spec spec;  // as it was created; linux.cgroupsPath filled in, or empty if it has no cgroup
  // The creator's /proc/self/cgroup, if linux.cgroupsPath is relative.
  std::string creator_cgroups;
  ProcessIdentity init;
  SeccompCache* seccomp = nullptr;
  bool no_new_keyring = false;
  // Of ConnectForStart: for Start. Empty: the container was started before.
  UniqueFd start_connection;
};

struct ExecOptions {
  bool ignore_paused = false;
  unsigned preserve_fds = 0;  // as of CreateOptions
};

// A process in a container, a child of the caller, who reaps it.
struct ChildProcess {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd console;  // master of the process's terminal, if it has one
};

// One container and its init process. Everything a container is, but its cgroups, lives in its
// namespaces and dies with them. Its creator is init's parent and reaps it (by pidfd); a process
// that loads it only sees it end.
//
// Thread-compatible. The calling thread briefly changes the pid namespace of its children in Exec
// and for joined pid namespaces, so that nothing but this class may fork on it meanwhile.
class Container {
 public:
  // Makes cgroups, namespaces, mounts and the init process, which waits before execve. A program
  // that is missing is an error here, and an error leaves nothing behind.
  //
  // Errors: InvalidArgument for a spec that cannot be met, naming the field, and for a program that
  // cannot be run, in the words that clients look for: `unable to start container process: exec:
  // "X": stat X: no such file or directory`; otherwise the step, its path and errno.
  static absl::StatusOr<std::unique_ptr<Container>> Create(CreateOptions options);

  // The container of another process. An init that has ended, or whose pid another process has by
  // now, is no error: HasEnded tells, and Destroy is what is left to do.
  static absl::StatusOr<std::unique_ptr<Container>> Load(LoadOptions options);

  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  // Neither ends processes nor removes cgroups: Destroy does.
  ~Container();

  [[nodiscard]] pid_t pid() const;
  [[nodiscard]] int pidfd() const;  // -1 if it had ended when it was loaded
  [[nodiscard]] bool HasEnded() const;
  // The master of the init process's terminal, once; empty if it has none.
  UniqueFd TakeConsole();

  // Lets init wait at `start_listener`, so that another process can start it and this one may end.
  // Until then it ends when this process does.
  absl::Status Detach();

  // Releases the init process to execve, and returns when that is done or has failed.
  // Errors: FailedPrecondition if it was started already or has ended.
  absl::Status Start();

  // Runs a process in the container's namespaces and cgroup; returns after its execve.
  absl::StatusOr<ChildProcess> Exec(const Process& process, const Stdio& stdio,
                                    const ExecOptions& options = {});
  // Lets go of what Exec keeps open for the next one.
  void Rest();

  // To the init process. Errors: NotFound if it has ended.
  absl::Status Kill(int signal);
  // To every process in the container's cgroup.
  absl::Status KillAll(int signal);
  absl::Status Pause();
  absl::Status Resume();
  absl::StatusOr<bool> Paused();
  absl::Status Update(const LinuxResources& resources);
  absl::StatusOr<std::vector<pid_t>> Pids();
  absl::StatusOr<CgroupStats> Stats();
  absl::StatusOr<uint64_t> OomKills();
  // Borrows the cgroup, for what has no method here (WatchOom).
  [[nodiscard]] Cgroup& cgroup();
  [[nodiscard]] bool has_cgroup() const;  // false once it was removed

  // After init has ended: lets go of the container's mounts, which until then stay as they are, and
  // waits until the kernel has unmounted them, but for the root file system. Without it that would
  // be part of the exit of the last process, before anybody can see the exit. May be called again;
  // Destroy calls it.
  void ReleaseMounts();
  // The root file system, unmounted when this is closed, which may take long: the kernel syncs what
  // lies below an overlay first. Empty if the root was no mount of the container's own.
  UniqueFd TakeRoot();

  // After init has ended: kills what is left in the cgroup and removes it. May be called again.
  absl::Status Destroy();

 private:
  struct State;
  explicit Container(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CONTAINER_H_
