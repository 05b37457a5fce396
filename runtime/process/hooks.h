#ifndef GANTRY_RUNTIME_PROCESS_HOOKS_H_
#define GANTRY_RUNTIME_PROCESS_HOOKS_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/json.h"
#include "runtime/process/plan.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// What a hook reads from its standard input. Source: runtime-spec, runtime.md, "State".
struct HookState {
  std::string oci_version;
  std::string id;
  std::string bundle;
  std::map<std::string, std::string> annotations;
};

HookState HookStateOf(const Spec& spec, const std::string& id, const std::string& bundle);
// As the specification writes it; without a pid if that is 0.
Json StateToJson(const HookState& state, absl::string_view status, pid_t pid);

// Runs `hooks` one after the other in the runtime's own namespaces, each with the state on its
// standard input and the bundle as working directory, and waits for each (at most its timeout, then
// it is killed). Stops at the first that fails. `kind` is for the message ("prestart"), `status` is
// the container's ("creating"). Errors: Internal with the hook's place, path, end and the last of
// what it printed.
absl::Status RunHooks(absl::string_view kind, const std::vector<Hook>& hooks,
                      const HookState& state, absl::string_view status, pid_t pid);
// The same for hooks that cannot change what happens: a failure is logged, and the others run.
void RunHooksAnyway(absl::string_view kind, const std::vector<Hook>& hooks, const HookState& state,
                    absl::string_view status, pid_t pid);

// Those that run in the container's namespaces: as steps of the child, and for when it is started.
// Each sees the container's pid as it is known there.
void PlanCreateContainerHooks(const std::vector<Hook>& hooks, const HookState& state,
                              PlanBuilder* plan);
void PlanStartContainerHooks(const std::vector<Hook>& hooks, const HookState& state,
                             PlanBuilder* plan);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_HOOKS_H_
