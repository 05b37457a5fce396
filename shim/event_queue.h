#ifndef GANTRY_SHIM_EVENT_QUEUE_H_
#define GANTRY_SHIM_EVENT_QUEUE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "shim/publish_binary.h"
#include "ttrpc/client.h"

namespace gantry::shim {

// Sends events to the daemon (containerd.services.events.ttrpc.v1.Events/Forward) in order. An
// event stays queued until it is acknowledged; while the daemon is away it is offered again with
// growing pauses. Loop thread only.
class EventQueue {
 public:
  // What a daemon may be sent before it has acknowledged the first of it. containerd serves the
  // calls of one connection all at once, so that only one at a time keeps its order; gantryd serves
  // them one after the other.
  static constexpr size_t kOneAtATime = 1;
  static constexpr size_t kInFlight = 16;

  // Without an address events go by `publisher` (borrowed), without that nowhere.
  EventQueue(EventLoop& loop, std::string ttrpc_address, std::string ns,
             PublishBinary* publisher = nullptr, size_t in_flight = kOneAtATime)
      : loop_(loop),
        address_(std::move(ttrpc_address)),
        ns_(std::move(ns)),
        publisher_(address_.empty() ? publisher : nullptr),
        in_flight_(publisher_ == nullptr ? in_flight : kOneAtATime) {}
  ~EventQueue();

  // `value` is the serialized message named `type`. Gives back the event's number.
  uint64_t Publish(absl::string_view topic, absl::string_view type, absl::string_view value);

  // Runs `callback` when event `number` has been acknowledged, or when the daemon cannot be reached
  // at present; at once if that is so already.
  void WhenTold(uint64_t number, std::function<void()> callback);

  // Events the daemon has not acknowledged; 0 if there is no address.
  [[nodiscard]] size_t size() const { return queue_.size(); }

 private:
  struct Waiting {
    uint64_t number;
    std::function<void()> callback;
  };
  void SendMore();
  void Send(const std::string& request);
  void HandleAnswer(const absl::Status& status);
  void RunWaiting(uint64_t up_to);

  EventLoop& loop_;
  const std::string address_;
  const std::string ns_;
  PublishBinary* const publisher_;
  const size_t in_flight_;
  std::shared_ptr<ttrpc::Client> client_;
  std::deque<std::string> queue_;  // encoded requests; the front one is number told_ + 1
  uint64_t published_ = 0;
  uint64_t told_ = 0;
  size_t sent_ = 0;       // of the queue, from its front: what waits for an answer
  uint64_t attempt_ = 0;  // tells late answers of a connection that was given up
  bool unreachable_ = false;
  absl::Duration pause_ = absl::ZeroDuration();
  EventLoop::TimerId retry_ = 0;
  std::vector<Waiting> waiting_;
  // Answers that come after this object ended find it expired.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_EVENT_QUEUE_H_
