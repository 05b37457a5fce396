#ifndef GANTRY_SERVICES_RPC_UNARY_H_
#define GANTRY_SERVICES_RPC_UNARY_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "base/executor.h"
#include "services/rpc/context.h"
#include "services/rpc/status.h"

namespace gantry::rpc {

// The shapes of a unary method: each reads the headers, runs the body off gRPC's own threads and
// answers with its status. Request and response live until the answer, so bodies may refer to them.

// `body` is absl::Status(const RequestContext&) and may block; it runs on `executor`.
template <typename Body>
grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, Executor& executor, Body body,
                                Caller caller = Caller::kClient) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  executor.Run([context, reactor, caller, body = std::move(body)] {
    const absl::StatusOr<RequestContext> request = ContextOf(*context, caller);
    reactor->Finish(ToGrpc(request.ok() ? body(*request) : request.status()));
  });
  return reactor;
}

// For the lookup of a record by its name, which clients do a dozen times before each container: two
// changes of thread would cost more than the lookup. `body` is as for Unary and runs at once, on
// gRPC's thread: it reads a few pages of the store's memory map and nothing else, no file, no lock
// that a commit holds.
template <typename Body>
grpc::ServerUnaryReactor* UnaryLookup(grpc::CallbackServerContext* context, const Body& body,
                                      Caller caller = Caller::kClient) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const absl::StatusOr<RequestContext> request = ContextOf(*context, caller);
  reactor->Finish(ToGrpc(request.ok() ? body(*request) : request.status()));
  return reactor;
}

template <typename Body>
grpc::ServerUnaryReactor* UnaryLookupWithoutNamespace(grpc::CallbackServerContext* context,
                                                      const Body& body) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(body()));
  return reactor;
}

// For the services that need no namespace. `body` is absl::Status().
template <typename Body>
grpc::ServerUnaryReactor* UnaryWithoutNamespace(grpc::CallbackServerContext* context,
                                                Executor& executor, Body body) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  executor.Run([reactor, body = std::move(body)] { reactor->Finish(ToGrpc(body())); });
  return reactor;
}

// The answer of a call that waits without a thread. Whoever completes it first answers: the work,
// from any thread, or the client that goes away (Cancelled). Once that has happened the request and
// the response are gone, so the work copies what it needs of the request and fills the response
// only inside `write`.
class AsyncReactor final : public grpc::ServerUnaryReactor {
 public:
  // Finishes once; later calls do nothing. `write` runs before the answer goes out, if it does.
  void Complete(const absl::Status& status, const std::function<void()>& write = nullptr) {
    if (finished_.exchange(true)) return;
    if (write != nullptr && status.ok()) write();
    Finish(ToGrpc(status));
  }
  void OnCancel() override { Complete(absl::CancelledError("context canceled")); }
  void OnDone() override { self_.reset(); }

  static std::shared_ptr<AsyncReactor> Create() {
    auto reactor = std::make_shared<AsyncReactor>();
    reactor->self_ = reactor;  // gRPC's share, given back in OnDone
    return reactor;
  }

 private:
  std::atomic<bool> finished_{false};
  std::shared_ptr<AsyncReactor> self_;
};

// For calls that wait: `start` is void(const RequestContext&, std::shared_ptr<AsyncReactor>) and
// must not block.
template <typename Start>
grpc::ServerUnaryReactor* UnaryAsync(grpc::CallbackServerContext* context, Start start) {
  std::shared_ptr<AsyncReactor> reactor = AsyncReactor::Create();
  grpc::ServerUnaryReactor* const raw = reactor.get();
  const absl::StatusOr<RequestContext> request = ContextOf(*context);
  if (request.ok()) {
    start(*request, std::move(reactor));
  } else {
    reactor->Complete(request.status());
  }
  return raw;
}

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_UNARY_H_
