#ifndef GANTRY_SERVICES_TASKS_RUNTIME_NAMES_H_
#define GANTRY_SERVICES_TASKS_RUNTIME_NAMES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/any.h"

namespace gantry::tasks {

// Which shim serves a runtime's name: gantry's own, or a program that speaks containerd's start
// protocol.
struct RuntimeNames {
  // Names that gantry's own shim serves, those that clients have hard-wired among them.
  std::vector<std::string> own = {"io.containerd.gantry.v1", "io.containerd.runc.v2",
                                  "io.containerd.runtime.v1.linux"};
  // Where the programs of other names are looked for; empty: the directories of $PATH.
  std::vector<std::string> directories;

  // The path of the program to start; empty for gantry's own shim. `runtime` is a name
  // ("io.containerd.kata.v2": containerd-shim-kata-v2) or an absolute path. `options` of runc that
  // name another OCI runtime by its absolute path need runc's shim, which drives such programs.
  // Errors: InvalidArgument if `runtime` is neither; NotFound if there is no such program.
  [[nodiscard]] absl::StatusOr<std::string> Resolve(absl::string_view runtime,
                                                    const Any& options) const;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_RUNTIME_NAMES_H_
