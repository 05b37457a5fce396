#ifndef GANTRY_RUNTIME_PROCESS_NAMESPACE_PLAN_H_
#define GANTRY_RUNTIME_PROCESS_NAMESPACE_PLAN_H_

#include "absl/status/status.h"
#include "runtime/process/plan.h"
#include "runtime/process/spawn.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// New namespaces by clone3(2), joined ones by setns(2), and the wait for the parent's word in
// between. Adds the first steps of an init's plan, up to where the process is in all its
// namespaces and, if it has a user namespace, is the host's root there without its rights.
//
// A user namespace that is joined, or made by a process that joins others, takes a second clone:
// what it makes afterwards has to belong to that user namespace, and what it joins to be joined
// with the host's rights before. Errors: InvalidArgument naming a namespace that cannot be opened.
absl::Status PlanNamespaces(const Spec& spec, SpawnOptions* spawn, PlanBuilder* plan);

// Host and domain name. Errors: InvalidArgument if the container has no uts namespace of its own.
absl::Status PlanNames(const Spec& spec, PlanBuilder* plan);

// What the parent does to a process that waits in or before its user namespace, where it has no
// rights on the host any more: mappings, oom_score_adj, higher hard limits.
absl::Status PrepareUserNamespace(pid_t pid, const Spec& spec);
// The last part of it alone.
absl::Status RaiseHardLimits(pid_t pid, const std::vector<Rlimit>& limits);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_NAMESPACE_PLAN_H_
