#ifndef GANTRY_SERVICES_RPC_LIST_WRITER_H_
#define GANTRY_SERVICES_RPC_LIST_WRITER_H_

#include <grpcpp/grpcpp.h>

#include <utility>
#include <vector>

#include "base/executor.h"
#include "services/rpc/context.h"
#include "services/rpc/status.h"

namespace gantry::rpc {

// Streams a list that is made at once, message by message. Owned by gRPC until OnDone.
template <typename Response>
class ListWriter final : public grpc::ServerWriteReactor<Response> {
 public:
  void Begin(absl::StatusOr<std::vector<Response>> list) {
    if (!list.ok()) {
      this->Finish(ToGrpc(list.status()));
      return;
    }
    list_ = *std::move(list);
    Next();
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      Next();
    } else {
      this->Finish(grpc::Status(grpc::StatusCode::CANCELLED, "the client went away"));
    }
  }
  void OnDone() override { delete this; }

 private:
  void Next() {
    if (next_ == list_.size()) {
      this->Finish(grpc::Status::OK);
    } else {
      this->StartWrite(&list_[next_++]);
    }
  }

  std::vector<Response> list_;
  size_t next_ = 0;
};

// `body` is absl::StatusOr<std::vector<Response>>(const RequestContext&) and may block.
template <typename Response, typename Body>
grpc::ServerWriteReactor<Response>* WriteAll(grpc::CallbackServerContext* context,
                                             Executor& executor, Body body,
                                             Caller caller = Caller::kClient) {
  auto* const writer = new ListWriter<Response>;
  executor.Run([context, writer, caller, body = std::move(body)] {
    const absl::StatusOr<RequestContext> request = ContextOf(*context, caller);
    if (request.ok()) {
      writer->Begin(body(*request));
    } else {
      writer->Begin(request.status());
    }
  });
  return writer;
}

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_LIST_WRITER_H_
