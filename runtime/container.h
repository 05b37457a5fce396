#ifndef GANTRY_RUNTIME_CONTAINER_H_
#define GANTRY_RUNTIME_CONTAINER_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/stats.h"
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
};

// A process in a container, a child of the caller, who reaps it.
struct ChildProcess {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd console;  // master of the process's terminal, if it has one
};

// One container and its init process, which is the caller's child and which the caller reaps (by
// pidfd). Everything a container is, but its cgroups, lives in its namespaces and dies with them.
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

  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;
  // Neither ends processes nor removes cgroups: Destroy does.
  ~Container();

  [[nodiscard]] pid_t pid() const;
  [[nodiscard]] int pidfd() const;
  // The master of the init process's terminal, once; empty if it has none.
  UniqueFd TakeConsole();

  // Releases the init process to execve, and returns when that is done or has failed.
  // Errors: FailedPrecondition if it was started already or has ended.
  absl::Status Start();

  // Runs a process in the container's namespaces and cgroup; returns after its execve.
  absl::StatusOr<ChildProcess> Exec(const Process& process, const Stdio& stdio);

  // To the init process. Errors: NotFound if it has ended.
  absl::Status Kill(int signal);
  // To every process in the container's cgroup.
  absl::Status KillAll(int signal);
  absl::Status Pause();
  absl::Status Resume();
  absl::Status Update(const LinuxResources& resources);
  absl::StatusOr<std::vector<pid_t>> Pids();
  absl::StatusOr<CgroupStats> Stats();
  absl::StatusOr<uint64_t> OomKills();
  // Borrows the cgroup, for what has no method here (OomEventFd).
  [[nodiscard]] Cgroup& cgroup();

  // After init has ended: kills what is left in the cgroup and removes it. May be called again.
  absl::Status Destroy();

 private:
  struct State;
  explicit Container(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CONTAINER_H_
