#ifndef GANTRY_CLI_CONSOLE_SOCKET_H_
#define GANTRY_CLI_CONSOLE_SOCKET_H_

#include <string>

#include "absl/status/status.h"
#include "base/unique_fd.h"

namespace gantry::cli {

// Hands the master of a terminal to whoever listens at the unix socket `path`: one message with the
// descriptor and, as its bytes, the terminal's name. Source: runc, docs/terminals.md.
absl::Status SendConsole(const std::string& path, const UniqueFd& master);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_CONSOLE_SOCKET_H_
