#ifndef GANTRY_SERVICES_METRICS_GRPC_METRICS_H_
#define GANTRY_SERVICES_METRICS_GRPC_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace gantry::metrics {

enum class CallType { kUnary, kClientStream, kServerStream, kBidiStream };

// What the server's calls come to, under the names that gRPC servers in Go give
// (go-grpc-prometheus): grpc_server_started_total, _handled_total by code, _msg_received_total,
// _msg_sent_total, and with `histogram` grpc_server_handling_seconds, by method. Thread-safe.
class GrpcMetrics {
 public:
  // The 17 codes of gRPC.
  static constexpr size_t kCodes = 17;

  // One method's. Lives as long as the metrics.
  class Method {
   public:
    void Started() { started_.Increment(); }
    void Received() { received_.Increment(); }
    void Sent() { sent_.Increment(); }
    // `code` is gRPC's number; one that it does not have counts as Unknown.
    void Handled(int code, absl::Duration time);

   private:
    friend class GrpcMetrics;
    Method(GrpcMetrics& all, prometheus::Labels labels);

    GrpcMetrics& all_;
    const prometheus::Labels labels_;
    prometheus::Counter& started_;
    prometheus::Counter& received_;
    prometheus::Counter& sent_;
    prometheus::Histogram* const seconds_;  // null without histogram
    // Made when the code is first answered: most methods answer two or three of them.
    std::array<std::atomic<prometheus::Counter*>, kCodes> handled_{};
  };

  // `registry` outlives this.
  GrpcMetrics(prometheus::Registry& registry, bool histogram);

  // `full_name` as on the wire, "/containerd.services.tasks.v1.Tasks/Create": only names that the
  // server serves, since each is kept.
  Method& Of(absl::string_view full_name, CallType type);

 private:
  prometheus::Family<prometheus::Counter>& started_;
  prometheus::Family<prometheus::Counter>& handled_;
  prometheus::Family<prometheus::Counter>& received_;
  prometheus::Family<prometheus::Counter>& sent_;
  prometheus::Family<prometheus::Histogram>* seconds_ = nullptr;

  std::shared_mutex mutex_;
  std::map<std::string, std::unique_ptr<Method>, std::less<>> methods_;
};

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_GRPC_METRICS_H_
