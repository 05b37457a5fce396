#ifndef GANTRY_RUNTIME_PROCESS_START_SOCKET_H_
#define GANTRY_RUNTIME_PROCESS_START_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::runtime {

// How a container's init waits for its start when its creator is gone: it listens on a socket in
// the container's state directory (the descriptor is inherited, only the name is in the directory).
// As long as somebody listens the container was not started, whoever crashes; execve closes it.
//
// `directory` may be longer than a socket's address.

// Errors: AlreadyExists if the directory has one.
absl::StatusOr<UniqueFd> ListenForStart(const std::string& directory);

// Errors: NotFound if nobody listens: the init process was started or has ended.
absl::StatusOr<UniqueFd> ConnectForStart(const std::string& directory);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_START_SOCKET_H_
