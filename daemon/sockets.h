#ifndef GANTRY_DAEMON_SOCKETS_H_
#define GANTRY_DAEMON_SOCKETS_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "daemon/config.h"
#include "daemon/tcp_address.h"

namespace gantry::daemon {

// Makes the way free for a socket at `path`: the parent directories are there, and a socket that a
// dead daemon left is gone. The root's lock must be held.
// Errors: FailedPrecondition if something answers there, or if it is no socket.
absl::Status PrepareSocketPath(const std::string& path);

// A listening, non-blocking socket with the endpoint's owner and mode 0660 from its first moment.
absl::StatusOr<UniqueFd> ListenUnix(const Endpoint& endpoint);

// A listening, non-blocking socket. A host of several addresses is bound at the first that can be.
// Errors: FailedPrecondition if the port is taken; NotFound for an unknown host.
absl::StatusOr<UniqueFd> ListenTcp(const TcpAddress& address);
// "127.0.0.1:1338": where a socket of ListenTcp has come to listen.
absl::StatusOr<std::string> LocalAddressOf(const UniqueFd& socket);

// Tells systemd that the service is ready ("READY=1") or stopping, if it asked to be told
// (NOTIFY_SOCKET). Source: sd_notify(3).
void NotifySupervisor(const char* state);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_SOCKETS_H_
