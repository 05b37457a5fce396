#ifndef GANTRY_RUNTIME_PROCESS_SECCOMP_LISTENER_H_
#define GANTRY_RUNTIME_PROCESS_SECCOMP_LISTENER_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"
#include "runtime/process/hooks.h"

namespace gantry::runtime {

// Who decides the calls that a profile leaves open (SCMP_ACT_NOTIFY).
struct SeccompListener {
  std::string path;      // of a Unix stream socket
  std::string metadata;  // handed through
};

// Hands a listener over: the container process state in JSON, with the descriptor. Gives up after
// ten seconds with somebody who does not read. Errors: as connect(2), naming the path.
// Source: runtime-spec, config-linux.md, "The Container Process State".
absl::Status SendListener(const SeccompListener& to, const HookState& state,
                          absl::string_view status, pid_t pid, UniqueFd listener);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_SECCOMP_LISTENER_H_
