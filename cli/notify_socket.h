#ifndef GANTRY_CLI_NOTIFY_SOCKET_H_
#define GANTRY_CLI_NOTIFY_SOCKET_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "cli/state_store.h"
#include "runtime/spec/spec.h"

namespace gantry::cli {

// sd_notify(3) for a process in a container: if this process was started with NOTIFY_SOCKET, the
// container gets a socket of its own at /run/notify, and what says READY=1 there is told to the
// service manager, with the init's pid as MAINPID. Source: runc, notify_socket.go's behaviour.
class NotifySocket {
 public:
  // Empty: the service manager wants to hear nothing.
  NotifySocket() = default;

  // Of a container that is being made: changes `spec` so that its process finds the socket.
  static absl::StatusOr<NotifySocket> FromEnvironment(const ContainerDir& dir, runtime::Spec* spec);
  // Of one that is about to be started by another process than its creator.
  static absl::StatusOr<NotifySocket> Find(const ContainerDir& dir);

  [[nodiscard]] bool empty() const { return host_.empty(); }

  // Binds the container's socket; before its process runs.
  absl::Status Listen();

  // Passes the first word on, once the process says that it is ready. Gives up when it has ended.
  absl::Status ForwardReady(pid_t pid, int pidfd);

  // What Listen bound, to be watched while the caller has other things to do; -1 if empty.
  [[nodiscard]] int fd() const { return socket_.get(); }
  // Reads one message; true when readiness was passed on and there is nothing more to do.
  absl::StatusOr<bool> HandleMessage(pid_t pid);

 private:
  std::string host_;       // the service manager's socket
  std::string directory_;  // of the container's, on the host
  UniqueFd socket_;
};

}  // namespace gantry::cli

#endif  // GANTRY_CLI_NOTIFY_SOCKET_H_
