#ifndef GANTRY_RUNTIME_PROCESS_PROCESS_PLAN_H_
#define GANTRY_RUNTIME_PROCESS_PROCESS_PLAN_H_

#include <memory>

#include "absl/status/status.h"
#include "runtime/container.h"
#include "runtime/process/plan.h"
#include "runtime/seccomp/seccomp.h"

namespace gantry::runtime {

// The parts of a plan that init and exec share, in the order in which they go into it.

// Standard descriptors; nothing if the process gets a terminal. Borrowed descriptors below 3 are
// duplicated upward.
absl::Status PlanStdio(const Process& process, const Stdio& stdio, PlanBuilder* plan);

// The rest of it, once the container's root is entered.
void PlanNullStdio(const Process& process, const Stdio& stdio, PlanBuilder* plan);

// Once the container's root is entered: terminal, limits, security, user, working directory. Ends
// with what execve needs. `seccomp` may be null. Errors: InvalidArgument, Unimplemented.
absl::Status PlanIdentity(const Process& process, std::shared_ptr<const SeccompProgram> seccomp,
                          bool is_init, PlanBuilder* plan);

// Writes to the runtime's own procfs, before any root is entered.
void PlanOomScore(int score, PlanBuilder* plan);
// Errors: InvalidArgument naming a sysctl that has no namespace of the container's to live in.
absl::Status PlanSysctls(const Linux& spec, PlanBuilder* plan);

void PlanKeyring(const std::string& name, PlanBuilder* plan);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_PROCESS_PLAN_H_
