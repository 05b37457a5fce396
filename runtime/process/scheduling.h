#ifndef GANTRY_RUNTIME_PROCESS_SCHEDULING_H_
#define GANTRY_RUNTIME_PROCESS_SCHEDULING_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "runtime/process/plan.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// Sets scheduler and I/O priority of `pid` from outside: in its user namespace the process may not.
// Errors: InvalidArgument or PermissionDenied naming the field.
absl::Status ApplyScheduling(pid_t pid, const Process& process);

// Personality and memory policy of an init.
void PlanExecutionDomain(const Linux& spec, PlanBuilder* plan);

// Of a process that is added to a container: the last step so far, and the first of all, which is
// planned when those that enter the cgroup are.
void PlanFinalAffinity(const CpuAffinity& affinity, PlanBuilder* plan);
void PlanInitialAffinity(const CpuAffinity& affinity, PlanBuilder* plan);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_SCHEDULING_H_
