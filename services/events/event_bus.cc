#include "services/events/event_bus.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "base/errors.h"
#include "base/identifiers.h"

namespace gantry::events {
namespace {

absl::Status ValidateTopic(absl::string_view topic) {
  if (topic.empty() || topic.front() != '/') {
    return absl::InvalidArgumentError(absl::StrCat("topic \"", topic, "\" must begin with '/'"));
  }
  if (topic.size() == 1) {
    return absl::InvalidArgumentError("topic \"/\" needs at least one component");
  }
  for (absl::string_view part : absl::StrSplit(topic.substr(1), '/')) {
    GANTRY_RETURN_IF_ERROR(
        Annotate(ValidateIdentifier("component", part), absl::StrCat("topic \"", topic, "\"")));
  }
  return absl::OkStatus();
}

absl::Status Validate(const Envelope& envelope) {
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("namespace", envelope.ns));
  GANTRY_RETURN_IF_ERROR(ValidateTopic(envelope.topic));
  if (envelope.event.type_url.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("event of topic \"", envelope.topic, "\" is required"));
  }
  if (envelope.timestamp == absl::InfinitePast()) {
    return absl::InvalidArgumentError(
        absl::StrCat("timestamp of topic \"", envelope.topic, "\" is required"));
  }
  return absl::OkStatus();
}

}  // namespace

struct Subscription::Queue {
  metadata::FilterSet filters;
  std::function<void()> ready;
  size_t limit = 0;

  std::mutex mutex;
  std::deque<std::shared_ptr<const Envelope>> waiting;
  absl::Status status;

  void Push(std::shared_ptr<const Envelope> envelope) {
    std::lock_guard lock(mutex);
    if (!status.ok()) return;
    if (waiting.size() >= limit) {
      status = absl::ResourceExhaustedError(
          absl::StrCat("the subscriber is ", limit, " events behind; its stream ends"));
      return;
    }
    waiting.push_back(std::move(envelope));
  }

  void End(const absl::Status& why) {
    std::lock_guard lock(mutex);
    if (status.ok()) status = why;
  }
};

Subscription::Subscription(EventBus& bus, std::shared_ptr<Queue> queue)
    : bus_(bus), queue_(std::move(queue)) {}

Subscription::~Subscription() {
  std::lock_guard lock(bus_.mutex_);
  bus_.queues_.erase(queue_);
}

std::shared_ptr<const Envelope> Subscription::Next() {
  std::lock_guard lock(queue_->mutex);
  if (queue_->waiting.empty()) return nullptr;
  std::shared_ptr<const Envelope> next = std::move(queue_->waiting.front());
  queue_->waiting.pop_front();
  return next;
}

absl::Status Subscription::status() const {
  std::lock_guard lock(queue_->mutex);
  return queue_->status;
}

bool EventBus::Matches(const metadata::FilterSet& filters, const Envelope& envelope) const {
  return filters.Match([&](std::span<const std::string> path) -> std::optional<std::string> {
    if (path.empty()) return std::nullopt;
    if (path[0] == "namespace" && path.size() == 1) return envelope.ns;
    if (path[0] == "topic" && path.size() == 1) return envelope.topic;
    if (path[0] == "event" && path.size() > 1 && decoder_) {
      return decoder_(envelope.event, path.subspan(1));
    }
    return std::nullopt;
  });
}

std::vector<std::shared_ptr<Subscription::Queue>> EventBus::Snapshot() const {
  std::lock_guard lock(mutex_);
  return {queues_.begin(), queues_.end()};
}

absl::Status EventBus::Publish(Envelope envelope) {
  GANTRY_RETURN_IF_ERROR(Validate(envelope));
  const auto shared = std::make_shared<const Envelope>(std::move(envelope));
  std::vector<std::shared_ptr<Subscription::Queue>> reached;
  {
    std::lock_guard order(order_);
    for (auto& queue : Snapshot()) {
      if (!Matches(queue->filters, *shared)) continue;
      queue->Push(shared);
      reached.push_back(std::move(queue));
    }
  }
  for (const auto& queue : reached) queue->ready();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Subscription>> EventBus::Subscribe(
    const std::vector<std::string>& filters, std::function<void()> ready, size_t queue_length) {
  auto queue = std::make_shared<Subscription::Queue>();
  GANTRY_ASSIGN_OR_RETURN(queue->filters, metadata::FilterSet::Parse(filters));
  queue->ready = std::move(ready);
  queue->limit = queue_length;
  std::lock_guard lock(mutex_);
  if (closed_) return absl::UnavailableError("the daemon is shutting down");
  queues_.insert(queue);
  return std::unique_ptr<Subscription>(new Subscription(*this, std::move(queue)));
}

void EventBus::Close() {
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  for (const auto& queue : Snapshot()) {
    queue->End(absl::UnavailableError("the daemon is shutting down"));
    queue->ready();
  }
}

}  // namespace gantry::events
