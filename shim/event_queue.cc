#include "shim/event_queue.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "base/log.h"
#include "base/time.h"
#include "base/wire.h"

namespace gantry::shim {
namespace {

constexpr absl::Duration kAnswerLimit = absl::Seconds(5);
constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Seconds(3);

// ForwardRequest{envelope: Envelope{timestamp, namespace, topic, event: Any}}
std::string EncodeForward(absl::string_view ns, absl::string_view topic, absl::string_view type,
                          absl::string_view value) {
  const WallTime now = ToWallTime(absl::Now());
  WireWriter timestamp;
  timestamp.Int(1, now.seconds);
  timestamp.Int(2, now.nanos);
  WireWriter any;
  any.Bytes(1, type);
  any.Bytes(2, value);
  WireWriter envelope;
  envelope.Element(1, timestamp.bytes());
  envelope.Bytes(2, ns);
  envelope.Bytes(3, topic);
  envelope.Element(4, any.bytes());
  WireWriter request;
  request.Element(1, envelope.bytes());
  return request.Take();
}

bool MayPass(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kDeadlineExceeded ||
         status.code() == absl::StatusCode::kResourceExhausted;
}

}  // namespace

EventQueue::~EventQueue() {
  if (retry_ != 0) loop_.Cancel(retry_);
}

uint64_t EventQueue::Publish(absl::string_view topic, absl::string_view type,
                             absl::string_view value) {
  ++published_;
  if (address_.empty() && publisher_ == nullptr) {
    told_ = published_;
    return published_;
  }
  queue_.push_back(EncodeForward(ns_, topic, type, value));
  SendMore();
  return published_;
}

void EventQueue::WhenTold(uint64_t number, std::function<void()> callback) {
  if (number <= told_ || unreachable_) return callback();
  waiting_.push_back({number, std::move(callback)});
}

void EventQueue::SendMore() {
  while (retry_ == 0 && sent_ < queue_.size() && sent_ < in_flight_) {
    if (publisher_ == nullptr && client_ == nullptr) {
      absl::StatusOr<std::shared_ptr<ttrpc::Client>> client =
          ttrpc::Client::Connect(loop_, address_);
      if (!client.ok()) return HandleAnswer(absl::UnavailableError(client.status().message()));
      client_ = *std::move(client);
    }
    Send(queue_[sent_++]);
  }
}

void EventQueue::Send(const std::string& request) {
  const auto done = [this, weak = std::weak_ptr<bool>(alive_),
                     attempt = attempt_](const absl::Status& status) {
    if (!weak.expired() && attempt == attempt_) HandleAnswer(status);
  };
  if (publisher_ != nullptr) return publisher_->Publish(request, done);
  client_->CallMethod("containerd.services.events.ttrpc.v1.Events", "Forward", request,
                      {.timeout = kAnswerLimit, .metadata = {{"containerd-namespace-ttrpc", ns_}}},
                      [done](const absl::StatusOr<std::string>& answer) { done(answer.status()); });
}

void EventQueue::HandleAnswer(const absl::Status& status) {
  if (MayPass(status)) {
    client_.reset();
    sent_ = 0;
    ++attempt_;
    unreachable_ = true;
    pause_ = std::min(std::max(pause_ * 2, kFirstPause), kLongestPause);
    retry_ = loop_.After(pause_, [this] {
      retry_ = 0;
      SendMore();
    });
    RunWaiting(published_);
    return;
  }
  // An event that the daemon does not accept will not be accepted later either.
  if (!status.ok()) LogError(absl::StrCat("event was refused: ", status.message()));
  unreachable_ = false;
  pause_ = absl::ZeroDuration();
  queue_.pop_front();
  --sent_;
  ++told_;
  RunWaiting(told_);
  SendMore();
}

void EventQueue::RunWaiting(uint64_t up_to) {
  std::vector<Waiting> due;
  std::vector<Waiting> rest;
  for (Waiting& one : waiting_) (one.number <= up_to ? due : rest).push_back(std::move(one));
  waiting_ = std::move(rest);
  for (const Waiting& one : due) one.callback();
}

}  // namespace gantry::shim
