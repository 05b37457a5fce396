#ifndef GANTRY_RUNTIME_PROCESS_SPAWN_H_
#define GANTRY_RUNTIME_PROCESS_SPAWN_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/process/plan.h"

namespace gantry::runtime {

struct SpawnOptions {
  uint64_t clone_flags = 0;  // CLONE_NEW*
  int cgroup_fd = -1;        // born in this cgroup of the v2 tree
  std::string trace_id;      // of the container, in the trace of its start; empty: none
  int pid_namespace = -1;    // of the child: a namespace descriptor or a pidfd; -1: the caller's
  // The plan has a step CloneAgain before WaitForGo.
  bool clones_again = false;
  // Runs while the child waits in the step WaitForGo.
  std::function<absl::Status(pid_t)> before_go;
  // Runs after that, while the child does its steps.
  std::function<void(pid_t)> meanwhile;
  // Takes a seccomp listener of the child's, who waits.
  std::function<absl::Status(pid_t, UniqueFd)> take_listener;
  // Runs when the child waits for its start.
  std::function<absl::Status(pid_t)> when_ready;
  // Runs while the child waits in the step WaitForHooks.
  std::function<absl::Status(pid_t)> run_hooks;
};

// A child that stands before execve (ChildPlan::wait_for_start) or has executed.
struct Spawned {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd console;
  UniqueFd socket;  // to release a waiting child with
};

// Clones and runs the plan. An error leaves no child behind; it says
// "unable to start container process: " and then what runc says of a program that cannot be run,
// or the step, its subject and the errno's words.
absl::StatusOr<Spawned> Spawn(const PlanBuilder& plan, const SpawnOptions& options);

// Lets a waiting child execute. Errors: as Spawn; the child has then ended or is about to, and is
// the caller's to reap.
// `plan` is for the words: the program's name is enough if the child belongs to another process.
absl::Status Release(const ChildPlan& plan, const UniqueFd& socket);

// Lets a waiting child go on without this process: it waits at its plan's listener from now on.
absl::Status LetWaitAtListener(const UniqueFd& socket);

// The sentence for a program that cannot be run: `exec: "X": stat X: no such file or directory`.
std::string ProgramError(const std::string& program, int error);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_SPAWN_H_
