#ifndef GANTRY_RUNTIME_PROCESS_PROCESS_PLAN_H_
#define GANTRY_RUNTIME_PROCESS_PROCESS_PLAN_H_

#include <memory>

#include "absl/status/status.h"
#include "runtime/container.h"
#include "runtime/process/id_mapping.h"
#include "runtime/process/plan.h"
#include "runtime/seccomp/seccomp.h"

namespace gantry::runtime {

// The parts of a plan that init and exec share, in the order in which they go into it.

// Standard descriptors; nothing if the process gets a terminal. Borrowed descriptors below 3 are
// duplicated upward.
// Pipes are given to the process's user: by the parent if there is a user namespace, whose root may
// not.
absl::Status PlanStdio(const Process& process, const Stdio& stdio,
                       const UserNamespace& user_namespace, PlanBuilder* plan);

// The rest of it, once the container's root is entered.
void PlanNullStdio(const Process& process, const Stdio& stdio, PlanBuilder* plan);

struct IdentityOptions {
  std::shared_ptr<const SeccompProgram> seccomp;  // may be null
  bool is_init = false;
  bool in_user_namespace = false;
};

// Once the container's root is entered: terminal, limits, security, user, working directory. Ends
// with what execve needs. Errors: InvalidArgument, Unimplemented.
absl::Status PlanIdentity(const Process& process, const IdentityOptions& options,
                          PlanBuilder* plan);

// Writes to the runtime's own procfs, before any root is entered.
void PlanOomScore(int score, PlanBuilder* plan);
// In a user namespace the host's root, without rights, may write those of the host's name (kUts),
// and the namespace's root the others.
enum class SysctlPart { kAll, kUts, kAllButUts };
// Errors: InvalidArgument naming a sysctl that has no namespace of the container's to live in.
absl::Status PlanSysctls(const Linux& spec, SysctlPart part, PlanBuilder* plan);

void PlanKeyring(const std::string& name, PlanBuilder* plan);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_PROCESS_PLAN_H_
