#include "services/events/subscribe_reactor.h"

#include "services/events/envelope_convert.h"
#include "services/rpc/status.h"

namespace gantry::events {
namespace {

using ProtoEnvelope = containerd::types::Envelope;

// What the bus's callback and gRPC's callbacks share. It may outlive the reactor (the bus may call
// once more); the reactor is touched only by whoever claimed the next step under the lock, and no
// step is claimed after Finish.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  explicit Stream(grpc::ServerWriteReactor<ProtoEnvelope>* reactor) : reactor_(reactor) {}

  void Begin(EventBus& bus, const std::vector<std::string>& filters) {
    std::weak_ptr<Stream> weak = weak_from_this();
    auto subscription = bus.Subscribe(filters, [weak] {
      if (auto stream = weak.lock()) stream->Pump();
    });
    // The client learns that it is subscribed from the headers: an event published after it has
    // them is not missed. Until they are on their way nobody may write: `writing_` is still true.
    if (subscription.ok()) reactor_->StartSendInitialMetadata();
    {
      std::lock_guard lock(mutex_);
      if (subscription.ok()) {
        subscription_ = *std::move(subscription);
      } else {
        end_ = subscription.status();
      }
      writing_ = false;
    }
    Pump();
  }

  // Does the next step, if one may be taken now. gRPC may call back from within StartWrite and
  // Finish, hence outside the lock.
  void Pump() {
    std::optional<grpc::Status> result;
    {
      std::lock_guard lock(mutex_);
      if (writing_ || finished_) return;
      std::shared_ptr<const Envelope> next;
      if (subscription_ && end_.ok()) {
        next = subscription_->Next();
        if (!next) end_ = subscription_->status();
      }
      if (next) {
        ToProto(*next, &message_);
        writing_ = true;
      } else if (!end_.ok()) {
        finished_ = true;
        result = rpc::ToGrpc(end_);
      } else {
        return;
      }
    }
    if (result) {
      reactor_->Finish(*result);
    } else {
      reactor_->StartWrite(&message_);
    }
  }

  void Written(bool ok) {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      if (!ok && end_.ok()) end_ = absl::CancelledError("the subscriber went away");
    }
    Pump();
  }

  void Cancelled() {
    {
      std::lock_guard lock(mutex_);
      if (end_.ok()) end_ = absl::CancelledError("the subscription was cancelled");
    }
    Pump();
  }

  void Done() {
    std::unique_ptr<Subscription> gone;
    std::lock_guard lock(mutex_);
    gone = std::move(subscription_);
  }

 private:
  grpc::ServerWriteReactor<ProtoEnvelope>* const reactor_;
  std::mutex mutex_;
  std::unique_ptr<Subscription> subscription_;
  absl::Status end_;
  bool writing_ = true;
  bool finished_ = false;
  ProtoEnvelope message_;
};

class SubscribeReactor final : public grpc::ServerWriteReactor<ProtoEnvelope> {
 public:
  SubscribeReactor() : stream_(std::make_shared<Stream>(this)) {}
  [[nodiscard]] std::shared_ptr<Stream> stream() const { return stream_; }

  void OnWriteDone(bool ok) override { std::shared_ptr(stream_)->Written(ok); }
  void OnCancel() override { std::shared_ptr(stream_)->Cancelled(); }
  void OnDone() override {
    stream_->Done();
    delete this;
  }

 private:
  std::shared_ptr<Stream> stream_;
};

}  // namespace

grpc::ServerWriteReactor<ProtoEnvelope>* StartSubscription(
    EventBus& bus, const containerd::services::events::v1::SubscribeRequest& request) {
  auto* reactor = new SubscribeReactor;
  // Held here: the call may be over, and the reactor gone, before Begin returns.
  const std::shared_ptr<Stream> stream = reactor->stream();
  stream->Begin(bus, {request.filters().begin(), request.filters().end()});
  return reactor;
}

}  // namespace gantry::events
