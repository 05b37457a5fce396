#ifndef GANTRY_RUNTIME_PROCESS_CHILD_CHILD_H_
#define GANTRY_RUNTIME_PROCESS_CHILD_CHILD_H_

#include <cstddef>
#include <cstdint>

namespace gantry::runtime {

// The code that runs between clone3(2) and execve(2), in a process that shares nothing but copied
// memory with its parent. No function of this folder allocates, locks or throws; a test holds the
// undefined symbols of the object library against a list. The parent makes all memory before
// (ChildPlan) and writes the sentences after: the child only tells which step failed with which
// errno.

struct Child;

// One act. `what` and `subject` are the parent's words for it: "mount tmpfs on", "/dev".
struct Step {
  int (*run)(Child& child, const Step& step) noexcept;  // 0, or an errno
  const char* what;
  const char* subject;
  const void* data;  // the arguments, a struct of steps.h; depends on `run`
};

struct ChildPlan {
  const Step* steps = nullptr;
  size_t step_count = 0;
  const char* program = nullptr;  // args[0] as given
  // Candidates for execve in the order of PATH, ending with null; one if `program` has a slash.
  const char* const* candidates = nullptr;
  char* const* argv = nullptr;
  char* const* envp = nullptr;
  int socket = -1;         // the child's end
  int parent_socket = -1;  // the parent's end, closed first
  // Report kReady and wait for the parent's word before execve (init); else go on (exec).
  bool wait_for_start = false;
  // A listening socket; once the parent has said kDetach, kStart comes over a connection to it, and
  // so does the report. -1: none.
  int listener = -1;
  // Descriptors from 3 on that the process inherits.
  unsigned kept_fds = 0;
  // Null, or memory shared with the parent: when the child was born, and when each step was done
  // (CLOCK_MONOTONIC, nanoseconds).
  int64_t* stamps = nullptr;
  // Loaded last, when no_new_privs makes that possible without a capability. Null: none.
  const void* late_seccomp = nullptr;  // SeccompArgs
  // Run one after the other when the process is started.
  const void* start_hooks = nullptr;  // HookArgs
  size_t start_hook_count = 0;
};

enum class ReportKind : int32_t {
  kReady = 1,       // all steps done, the program was found
  kStep = 2,        // steps[index] failed
  kProgram = 3,     // the program cannot be run
  kExec = 4,        // execve failed
  kConsole = 5,     // carries the master of the terminal
  kHooks = 6,       // the mounts are made and not entered: the parent runs hooks, then says kGo
  kCloned = 7,      // carries a pidfd: the process that goes on (CloneAgain)
  kListener = 8,    // `index` is a seccomp listener: the parent takes it, then says kGo
  kHookFailed = 9,  // `detail` has the words
};

constexpr size_t kDetailSize = 384;

// One packet on the socket. The end of file without one means that execve worked.
struct Report {
  ReportKind kind;
  int32_t index;
  int32_t error;
  char detail[kDetailSize];  // the kernel's own words or the option at fault; may be empty
};

// The parent's packets, one byte each.
constexpr char kGo = 'g';      // cgroups and mappings are written
constexpr char kStart = 's';   // execute
constexpr char kDetach = 'd';  // wait at the listener: the parent goes away

struct Child {
  const ChildPlan* plan;
  int socket = -1;      // where reports go: the plan's, or a connection of the listener's
  int proc = -1;        // the host's procfs, checked
  int root = -1;        // the container's root, O_PATH
  int masked_dir = -1;  // an attached empty read-only tmpfs, to be cloned
  int made_in = -1;     // the directory that a device or a link was last made in
  const char* made_in_path = nullptr;
  bool in_cwd = false;  // the working directory is entered
  int executable = -1;  // index in plan->candidates
  Report report{};
};

// Runs the plan; ends in execve or _exit(2).
[[noreturn]] void RunChild(const ChildPlan& plan) noexcept;

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_CHILD_CHILD_H_
