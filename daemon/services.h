#ifndef GANTRY_DAEMON_SERVICES_H_
#define GANTRY_DAEMON_SERVICES_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/executor.h"
#include "daemon/config.h"
#include "daemon/grpc_listener.h"
#include "daemon/metrics_part.h"
#include "runtime/zygote/zygote_client.h"

namespace gantry::daemon {

// The services of one daemon, those that its configuration names, wired together: the store, and
// the parts on it. Loop, executors and zygote outlive it.
class Services final : public Observed {
 public:
  // Pools for work that blocks; see Shared.
  struct Pools {
    Executor& disk;
    Executor& layers;
  };

  // `zygote` is null in a daemon that serves no tasks. Errors: of the store and the parts;
  // InvalidArgument if a service is wanted without one that it works on.
  // `collections` may be null, and outlives this.
  static absl::StatusOr<std::unique_ptr<Services>> Open(const Config& config, EventLoop& loop,
                                                        Pools pools, runtime::ZygoteClient* zygote,
                                                        metrics::GcMetrics* collections);
  ~Services() override;

  // Takes up the tasks of an earlier life. The loop must be running. Call before serving.
  absl::Status Restore();

  // By full name, for the gRPC server.
  [[nodiscard]] const GrpcListener::NamedServices& grpc() const;

  // One event that a shim sends over ttrpc; on the loop's thread, in a daemon that serves tasks.
  absl::Status ForwardShimEvent(absl::string_view payload);

  void WriteFamilies(const metrics::FamilySink& sink) const override;
  [[nodiscard]] absl::Status CheckHealth() const override;

  // Ends event streams and calls to other processes, so that a server that drains need not wait for
  // them.
  void EndStreams();

 private:
  struct Parts;
  explicit Services(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_SERVICES_H_
