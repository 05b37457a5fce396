#ifndef GANTRY_SERVICES_TASKS_BINARY_LAUNCHER_H_
#define GANTRY_SERVICES_TASKS_BINARY_LAUNCHER_H_

#include <string>
#include <vector>

#include "base/event_loop.h"
#include "services/tasks/shim.h"

namespace gantry::tasks {

// What a program of a shim is told of the daemon that runs it.
struct DaemonIdentity {
  std::string grpc_address;   // path of the socket
  std::string ttrpc_address;  // the same, where events go
  std::string program;        // of the daemon itself, for shims that publish by running it
  bool debug = false;
};

// Shims of others: programs that speak containerd's start protocol ("start", "delete"; version 2
// and 3 of the Task API over ttrpc). A shim may serve several containers. The loop outlives this.
class BinaryLauncher final : public ShimLauncher {
 public:
  BinaryLauncher(EventLoop& loop, DaemonIdentity daemon)
      : loop_(loop), daemon_(std::move(daemon)) {}

  absl::StatusOr<LaunchedShim> Launch(const LaunchRequest& request) override;
  absl::StatusOr<LaunchedShim> Reconnect(const std::string& ns, const std::string& id,
                                         const std::string& bundle) override;
  void Forget(const std::string& ns, const std::string& id, const std::string& bundle) override;
  absl::StatusOr<Exit> CleanUp(const std::string& ns, const std::string& id,
                               const std::string& bundle) override;

 private:
  std::vector<std::string> Environment(const std::string& ns) const;
  // Runs the program with the protocol's flags, `more` and `action`.
  absl::StatusOr<std::string> Run(const std::string& binary, const std::string& ns,
                                  const std::string& id, const std::string& bundle,
                                  const std::vector<std::string>& more, const char* action,
                                  const std::string& input) const;
  absl::StatusOr<Exit> RunDelete(const std::string& binary, const std::string& ns,
                                 const std::string& id, const std::string& bundle) const;
  // Fills in the connection and, if the shim tells its pid, the pidfd.
  absl::Status Connect(const std::string& ns, const std::string& id, LaunchedShim* shim);

  EventLoop& loop_;
  const DaemonIdentity daemon_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_BINARY_LAUNCHER_H_
