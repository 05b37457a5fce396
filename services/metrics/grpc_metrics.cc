#include "services/metrics/grpc_metrics.h"

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "services/metrics/buckets.h"

namespace gantry::metrics {
namespace {

constexpr int kUnknown = 2;

// By number, in the spelling of Go's client and server.
constexpr const char* kCodeNames[GrpcMetrics::kCodes] = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

const char* TypeName(CallType type) {
  switch (type) {
    case CallType::kUnary:
      return "unary";
    case CallType::kClientStream:
      return "client_stream";
    case CallType::kServerStream:
      return "server_stream";
    case CallType::kBidiStream:
      return "bidi_stream";
  }
  return "unknown";
}

prometheus::Labels LabelsOf(absl::string_view full_name, CallType type) {
  const std::pair<std::string, std::string> name =
      absl::StrSplit(absl::StripPrefix(full_name, "/"), absl::MaxSplits('/', 1));
  return {
      {"grpc_service", name.first}, {"grpc_method", name.second}, {"grpc_type", TypeName(type)}};
}

prometheus::Family<prometheus::Counter>& CounterFamily(prometheus::Registry& registry,
                                                       const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

}  // namespace

GrpcMetrics::GrpcMetrics(prometheus::Registry& registry, bool histogram)
    : started_(CounterFamily(registry, "grpc_server_started_total", "Calls begun")),
      handled_(CounterFamily(registry, "grpc_server_handled_total", "Calls ended, by code")),
      received_(CounterFamily(registry, "grpc_server_msg_received_total", "Messages received")),
      sent_(CounterFamily(registry, "grpc_server_msg_sent_total", "Messages sent")) {
  if (!histogram) return;
  seconds_ = &prometheus::BuildHistogram()
                  .Name("grpc_server_handling_seconds")
                  .Help("Time from a call's beginning to its answer")
                  .Register(registry);
}

GrpcMetrics::Method::Method(GrpcMetrics& all, prometheus::Labels labels)
    : all_(all),
      labels_(std::move(labels)),
      started_(all.started_.Add(labels_)),
      received_(all.received_.Add(labels_)),
      sent_(all.sent_.Add(labels_)),
      seconds_(all.seconds_ == nullptr ? nullptr : &all.seconds_->Add(labels_, SecondsBuckets())) {}

void GrpcMetrics::Method::Handled(int code, absl::Duration time) {
  const size_t index = code < 0 || code >= static_cast<int>(kCodes) ? kUnknown : code;
  prometheus::Counter* counter = handled_[index].load(std::memory_order_acquire);
  if (counter == nullptr) {
    prometheus::Labels labels = labels_;
    labels["grpc_code"] = kCodeNames[index];
    // Gives the same one to whoever comes at the same time.
    counter = &all_.handled_.Add(labels);
    handled_[index].store(counter, std::memory_order_release);
  }
  counter->Increment();
  if (seconds_ != nullptr) seconds_->Observe(absl::ToDoubleSeconds(time));
}

GrpcMetrics::Method& GrpcMetrics::Of(absl::string_view full_name, CallType type) {
  const std::string_view key(full_name.data(), full_name.size());
  {
    const std::shared_lock lock(mutex_);
    if (const auto found = methods_.find(key); found != methods_.end()) return *found->second;
  }
  const std::unique_lock lock(mutex_);
  std::unique_ptr<Method>& method = methods_[std::string(key)];
  if (method == nullptr) method.reset(new Method(*this, LabelsOf(full_name, type)));
  return *method;
}

}  // namespace gantry::metrics
