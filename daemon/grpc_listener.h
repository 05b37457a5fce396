#ifndef GANTRY_DAEMON_GRPC_LISTENER_H_
#define GANTRY_DAEMON_GRPC_LISTENER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "daemon/config.h"
#include "services/metrics/grpc_metrics.h"

namespace grpc {
class Server;
class Service;
}  // namespace grpc

namespace gantry::daemon {

// The API's gRPC server on its unix socket, with health (the whole and each service by name) and
// reflection.
class GrpcListener {
 public:
  using NamedServices = std::vector<std::pair<std::string, grpc::Service*>>;

  // Serves from the moment it returns. The services must outlive it, and so must `counted`, which
  // may be null: what calls come to.
  static absl::StatusOr<std::unique_ptr<GrpcListener>> Start(const Config& config,
                                                             const NamedServices& services,
                                                             metrics::GrpcMetrics* counted);
  ~GrpcListener();

  // Takes no more calls, lets those under way end until `patience` is over, then cancels them.
  // Blocks until none is left. Removes the socket.
  void Stop(absl::Duration patience);

 private:
  GrpcListener(std::string path, std::unique_ptr<grpc::Server> server);
  const std::string path_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_GRPC_LISTENER_H_
