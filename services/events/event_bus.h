#ifndef GANTRY_SERVICES_EVENTS_EVENT_BUS_H_
#define GANTRY_SERVICES_EVENTS_EVENT_BUS_H_

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/any.h"
#include "services/metadata/filter.h"

namespace gantry::events {

// One event: what happened (`event`, an encoded containerd.events message), where (`ns`) and of
// which kind (`topic`, "/tasks/exit").
struct Envelope {
  absl::Time timestamp;
  std::string ns;
  std::string topic;
  Any event;
};

// Reads the field at `path` of an encoded event, for filters such as event.container_id==x. Absent
// when the type is unknown or has no such field. Called on publishers' threads.
using FieldDecoder =
    std::function<std::optional<std::string>(const Any& event, std::span<const std::string> path)>;

class EventBus;

// One subscriber's bounded queue. Made by EventBus::Subscribe; destroying it unsubscribes.
// Thread-safe.
class Subscription {
 public:
  ~Subscription();
  Subscription(const Subscription&) = delete;
  Subscription& operator=(const Subscription&) = delete;

  // The oldest event not yet taken, or null when there is none now.
  std::shared_ptr<const Envelope> Next();
  // Not OK once the queue has overflowed (ResourceExhausted) or the bus was closed; the events that
  // were queued before may still be taken.
  [[nodiscard]] absl::Status status() const;

 private:
  friend class EventBus;
  struct Queue;
  Subscription(EventBus& bus, std::shared_ptr<Queue> queue);

  EventBus& bus_;
  std::shared_ptr<Queue> queue_;
};

// Hands every event to every subscriber whose filters match, in order of publishing. Nothing is
// kept for those who come later. Publishing never waits: a subscriber that does not take its events
// loses its stream instead of holding up tasks. Thread-safe; must outlive its subscriptions.
class EventBus {
 public:
  // Events a subscriber may lag behind before it loses its stream.
  static constexpr size_t kDefaultQueueLength = 4096;

  explicit EventBus(FieldDecoder decoder = nullptr) : decoder_(std::move(decoder)) {}

  // Errors: InvalidArgument naming the field: namespace and each part of the topic are identifiers,
  // the topic begins with "/", an event with a type is there, the timestamp is set.
  absl::Status Publish(Envelope envelope);

  // `ready` is called, on a publisher's thread and without a lock held, whenever there is news for
  // Next or status; it must not block. It may run once more after the subscription is gone.
  // Errors: InvalidArgument for bad filter syntax; Unavailable after Close.
  absl::StatusOr<std::unique_ptr<Subscription>> Subscribe(
      const std::vector<std::string>& filters, std::function<void()> ready,
      size_t queue_length = kDefaultQueueLength);

  // Ends all subscriptions with Unavailable, and those to come: for the daemon's shutdown.
  void Close();

 private:
  friend class Subscription;
  bool Matches(const metadata::FilterSet& filters, const Envelope& envelope) const;
  std::vector<std::shared_ptr<Subscription::Queue>> Snapshot() const;

  const FieldDecoder decoder_;
  // Held over one event's delivery to all queues, so that all subscribers see one order.
  std::mutex order_;
  mutable std::mutex mutex_;
  bool closed_ = false;
  std::unordered_set<std::shared_ptr<Subscription::Queue>> queues_;
};

}  // namespace gantry::events

#endif  // GANTRY_SERVICES_EVENTS_EVENT_BUS_H_
