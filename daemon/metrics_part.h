#ifndef GANTRY_DAEMON_METRICS_PART_H_
#define GANTRY_DAEMON_METRICS_PART_H_

#include <prometheus/registry.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/event_loop.h"
#include "base/executor.h"
#include "base/unique_fd.h"
#include "daemon/config.h"
#include "services/metrics/gc_metrics.h"
#include "services/metrics/grpc_metrics.h"
#include "services/metrics/http_endpoint.h"
#include "services/metrics/metrics.h"

namespace gantry::daemon {

// What can be asked of a daemon from outside its API. Both block.
class Observed {
 public:
  virtual ~Observed() = default;
  virtual void WriteFamilies(const metrics::FamilySink& sink) const = 0;
  // Whether requests can be served.
  [[nodiscard]] virtual absl::Status CheckHealth() const = 0;
};

// The address of the configuration's table [metrics]: /v1/metrics (containerd's path) and /metrics
// in Prometheus' text format, /healthz for who watches over the daemon. No shim is asked for
// anything, so one that hangs delays no scrape.
class MetricsPart {
 public:
  // Takes the address; whoever connects is answered once Serve has been called. Errors:
  // FailedPrecondition if the port is taken.
  static absl::StatusOr<std::unique_ptr<MetricsPart>> Listen(const Config& config);

  // What counts. Outlives those who count.
  metrics::GrpcMetrics& grpc() { return grpc_; }
  metrics::GcMetrics& gc() { return gc_; }

  // All outlive EndServing. On the thread that runs the loop, or before there is one.
  absl::Status Serve(EventLoop& loop, Executor& disk, const Observed& observed);
  // After the loop has stopped.
  void EndServing() { endpoint_.reset(); }

 private:
  using Answer = std::function<void(metrics::HttpResponse)>;
  MetricsPart(UniqueFd listener, std::string address, bool histogram)
      : listener_(std::move(listener)), address_(std::move(address)), grpc_(registry_, histogram) {}
  void Scrape(Executor& disk, const Observed& observed, const Answer& answer);
  [[nodiscard]] std::string Page(const Observed& observed) const;

  UniqueFd listener_;
  const std::string address_;
  prometheus::Registry registry_;
  metrics::GrpcMetrics grpc_;
  metrics::GcMetrics gc_{registry_};
  std::atomic<int> scrapes_{0};
  std::unique_ptr<metrics::HttpEndpoint> endpoint_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_METRICS_PART_H_
