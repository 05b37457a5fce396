#ifndef GANTRY_RUNTIME_PROCESS_HOOKS_H_
#define GANTRY_RUNTIME_PROCESS_HOOKS_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// What a hook reads from its standard input. Source: runtime-spec, runtime.md, "State".
struct HookState {
  std::string oci_version;
  std::string id;
  std::string bundle;
  std::map<std::string, std::string> annotations;
};

// Runs `hooks` one after the other in the runtime's own namespaces, each with the state on its
// standard input, and waits for each (at most its timeout, then it is killed). Stops at the first
// that fails. `kind` is for the message ("prestart"), `status` is the container's ("creating").
// Errors: Internal with the hook's place, path, end and the last of what it printed.
absl::Status RunHooks(absl::string_view kind, const std::vector<Hook>& hooks,
                      const HookState& state, absl::string_view status, pid_t pid);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_HOOKS_H_
