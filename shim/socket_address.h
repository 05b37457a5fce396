#ifndef GANTRY_SHIM_SOCKET_ADDRESS_H_
#define GANTRY_SHIM_SOCKET_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::shim {

// Where the shims that "start" leaves behind listen: /run/gantry/s/HASH, a path that fits sun_path
// however long the names are.

// Of the containers that share a shim. `daemon` tells the containerds of one host apart.
std::string GroupSocketPath(const std::string& daemon, const std::string& ns,
                            const std::string& group);

// The group named by the annotations of the bundle in the working directory, else `id`.
absl::StatusOr<std::string> GroupOf(const std::string& id);

// Held while the socket of a shim is looked for, made or removed, so that two "start"s of one group
// end with one shim. The kernel lets go of it with the process.
absl::StatusOr<UniqueFd> LockSockets();

// Connects. Errors: NotFound if there is no socket; Unavailable if nobody listens.
absl::StatusOr<UniqueFd> ConnectTo(const std::string& path);
// Removes what stood there before.
absl::StatusOr<UniqueFd> ListenAt(const std::string& path);

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_SOCKET_ADDRESS_H_
