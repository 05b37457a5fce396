#include "services/rpc/forward.h"

#include <mutex>

#include "absl/strings/match.h"

namespace gantry::rpc {
namespace {

using grpc::ByteBuffer;

// A context of the same deadline, which ends when `context` does.
std::unique_ptr<grpc::ClientContext> ContextFrom(const grpc::CallbackServerContext& context) {
  std::unique_ptr<grpc::ClientContext> client =
      grpc::ClientContext::FromCallbackServerContext(context);
  for (const auto& [name, value] : context.client_metadata()) {
    if (absl::StartsWith(absl::string_view(name.data(), name.size()), "containerd-")) {
      client->AddMetadata(std::string(name.data(), name.size()),
                          std::string(value.data(), value.size()));
    }
  }
  return client;
}

// What comes back from the other side goes to the client, one message at a time. `Server` is the
// server's reactor, which writes; the rest differs by the shape of the call.
//
// Both reactors start operations of each other, which gRPC allows only while the client's has a
// hold: each of the two directions keeps one for as long as it may start something.
class ServerStreamForward final : public grpc::ServerWriteReactor<ByteBuffer> {
 public:
  ServerStreamForward(grpc::GenericStub& stub, grpc::CallbackServerContext* context,
                      const std::string& method, const ByteBuffer* request)
      : context_(ContextFrom(*context)), request_(*request), remote_(*this) {
    stub.PrepareBidiStreamingCall(context_.get(), method, {}, &remote_);
    remote_.AddHold();
    remote_.StartWriteLast(&request_, {});
    remote_.StartRead(&response_);
    remote_.StartCall();
  }

  void OnWriteDone(bool ok) override {
    if (ok) {
      remote_.StartRead(&response_);
    } else {
      context_->TryCancel();
      remote_.RemoveHold();
    }
  }
  void OnDone() override { delete this; }

 private:
  class Remote final : public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
   public:
    explicit Remote(ServerStreamForward& forward) : forward_(forward) {}
    void OnReadDone(bool ok) override {
      if (ok) {
        forward_.StartWrite(&forward_.response_);
      } else {
        RemoveHold();
      }
    }
    void OnDone(const grpc::Status& status) override { forward_.Finish(status); }

   private:
    ServerStreamForward& forward_;
  };

  std::unique_ptr<grpc::ClientContext> context_;
  ByteBuffer request_;
  ByteBuffer response_;
  Remote remote_;
};

class BidiForward final : public grpc::ServerBidiReactor<ByteBuffer, ByteBuffer> {
 public:
  BidiForward(grpc::GenericStub& stub, grpc::CallbackServerContext* context,
              const std::string& method, std::function<void(const ByteBuffer&)> answered)
      : context_(ContextFrom(*context)), answered_(std::move(answered)), remote_(*this) {
    stub.PrepareBidiStreamingCall(context_.get(), method, {}, &remote_);
    remote_.AddMultipleHolds(2);
    remote_.StartRead(&response_);
    remote_.StartCall();
    StartRead(&request_);
  }

  // The way there: from the client's message to the other side's taking it.
  void OnReadDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    if (way_there_ == WayThere::kClosed) return;
    if (ok) {
      way_there_ = WayThere::kPassingOn;
      remote_.StartWrite(&request_);
    } else {
      remote_.StartWritesDone();
      CloseWayThere();
    }
  }

  // The way back.
  void OnWriteDone(bool ok) override {
    if (ok) {
      remote_.StartRead(&response_);
    } else {
      context_->TryCancel();
      CloseWayBack();
    }
  }
  void OnDone() override { delete this; }

 private:
  enum class WayThere { kWaitingForClient, kPassingOn, kClosed };

  class Remote final : public grpc::ClientBidiReactor<ByteBuffer, ByteBuffer> {
   public:
    explicit Remote(BidiForward& forward) : forward_(forward) {}
    void OnWriteDone(bool ok) override { forward_.PassedOn(ok); }
    void OnReadDone(bool ok) override {
      if (ok) {
        if (forward_.answered_ != nullptr) forward_.answered_(forward_.response_);
        forward_.StartWrite(&forward_.response_);
      } else {
        forward_.CloseWayBack();
      }
    }
    void OnDone(const grpc::Status& status) override { forward_.Finish(status); }

   private:
    BidiForward& forward_;
  };

  void PassedOn(bool ok) {
    const std::lock_guard lock(mutex_);
    if (!ok || back_is_closed_) return CloseWayThere();
    way_there_ = WayThere::kWaitingForClient;
    StartRead(&request_);
  }

  // With `mutex_` held.
  void CloseWayThere() {
    way_there_ = WayThere::kClosed;
    remote_.RemoveHold();
  }

  // Nothing more will come from the other side: what the client may still send is not waited for.
  void CloseWayBack() {
    const std::lock_guard lock(mutex_);
    back_is_closed_ = true;
    if (way_there_ == WayThere::kWaitingForClient) CloseWayThere();
    remote_.RemoveHold();
  }

  std::unique_ptr<grpc::ClientContext> context_;
  const std::function<void(const ByteBuffer&)> answered_;
  ByteBuffer request_;
  ByteBuffer response_;
  std::mutex mutex_;
  WayThere way_there_ = WayThere::kWaitingForClient;
  bool back_is_closed_ = false;
  Remote remote_;
};

}  // namespace

grpc::ServerUnaryReactor* Forwarder::Unary(grpc::CallbackServerContext* context,
                                           const std::string& method, const ByteBuffer* request,
                                           ByteBuffer* response, std::function<void()> done) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  std::shared_ptr<grpc::ClientContext> client = ContextFrom(*context);
  grpc::ClientContext* const raw = client.get();
  stub_.UnaryCall(
      raw, method, {}, request, response,
      [reactor, client = std::move(client), done = std::move(done)](const grpc::Status& status) {
        if (status.ok() && done != nullptr) done();
        reactor->Finish(status);
      });
  return reactor;
}

grpc::ServerWriteReactor<ByteBuffer>* Forwarder::ServerStream(grpc::CallbackServerContext* context,
                                                              const std::string& method,
                                                              const ByteBuffer* request) {
  return new ServerStreamForward(stub_, context, method, request);
}

grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* Forwarder::Bidi(
    grpc::CallbackServerContext* context, const std::string& method,
    std::function<void(const ByteBuffer&)> answered) {
  return new BidiForward(stub_, context, method, std::move(answered));
}

}  // namespace gantry::rpc
