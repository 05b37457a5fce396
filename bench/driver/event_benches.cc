#include <google/protobuf/wrappers.pb.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/errors.h"
#include "bench/driver/benches.h"

namespace gantry::bench {
namespace {

constexpr char kTopic[] = "/bench/event";

// Reads events of ours, which carry a number each, and keeps when each came.
class Subscriber {
 public:
  Subscriber(const Target& target, size_t count) : client_(target), arrived_(count) {
    client_.Address(&context_);
    api::events::v1::SubscribeRequest request;
    request.add_filters(absl::StrCat("topic==\"", kTopic, "\""));
    stream_ = client_.events->Subscribe(&context_, request);
    thread_ = std::thread([this] { Read(); });
  }
  ~Subscriber() {
    context_.TryCancel();
    thread_.join();
  }
  // 0 if event `number` has not come within `patience`.
  int64_t ArrivalOf(size_t number, std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, patience, [&] { return arrived_[number] != 0; });
    return arrived_[number];
  }

 private:
  void Read() {
    ::containerd::types::Envelope envelope;
    while (stream_->Read(&envelope)) {
      const int64_t now = MonotonicNanos();
      google::protobuf::UInt64Value value;
      if (!value.ParseFromString(envelope.event().value())) continue;
      const std::lock_guard lock(mutex_);
      if (value.value() < arrived_.size()) arrived_[value.value()] = now;
      came_.notify_all();
    }
  }

  Client client_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<::containerd::types::Envelope>> stream_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::vector<int64_t> arrived_;
  std::thread thread_;
};

absl::Status Publish(Client& client, uint64_t number) {
  api::events::v1::PublishRequest request;
  request.set_topic(kTopic);
  google::protobuf::UInt64Value value;
  value.set_value(number);
  request.mutable_event()->set_type_url("google.protobuf.UInt64Value");
  request.mutable_event()->set_value(value.SerializeAsString());
  return client.Call(*client.events, &api::events::v1::Events::Stub::Publish, request).status();
}

}  // namespace

absl::StatusOr<Json> BenchEvents(const Target& target, const LoadOptions& load) {
  const auto count = static_cast<size_t>(load.runs);
  Subscriber subscriber(target, count + 1);
  Client client(target);
  // Event 0 is offered until it comes: the subscription is there then.
  for (int tries = 0; subscriber.ArrivalOf(0, std::chrono::milliseconds(20)) == 0; ++tries) {
    if (tries == 500) return absl::DeadlineExceededError("no event came within ten seconds");
    GANTRY_RETURN_IF_ERROR(Publish(client, 0));
  }
  Samples delays;
  const int64_t start = MonotonicNanos();
  for (size_t number = 1; number <= count; ++number) {
    const int64_t sent = MonotonicNanos();
    GANTRY_RETURN_IF_ERROR(Publish(client, number));
    const int64_t arrived = subscriber.ArrivalOf(number, std::chrono::seconds(10));
    if (arrived == 0) return absl::DataLossError(absl::StrCat("event ", number, " did not come"));
    delays.AddNanos(arrived - sent);
  }
  const double seconds = static_cast<double>(MonotonicNanos() - start) / 1e9;
  return Json{{"wall_ms", seconds * 1000},
              {"per_second", load.runs / seconds},
              {"laps", {{"total", delays.ToJson()}}}};
}

}  // namespace gantry::bench
