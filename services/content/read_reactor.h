#ifndef GANTRY_SERVICES_CONTENT_READ_REACTOR_H_
#define GANTRY_SERVICES_CONTENT_READ_REACTOR_H_

#include <grpcpp/support/byte_buffer.h>

#include <memory>
#include <string>

#include "base/executor.h"
#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "services/content/content.h"
#include "services/rpc/context.h"

namespace gantry::content {

// Streams a range of a blob, one chunk in flight: the next is read when the last has gone out. A
// chunk is read from the page cache straight into the slice that gRPC sends, so the messages are
// made by hand. Owned by gRPC until OnDone.
class ReadReactor final : public grpc::ServerWriteReactor<grpc::ByteBuffer> {
 public:
  ReadReactor(grpc::CallbackServerContext* context, Executor& executor, ContentProvider& content,
              const grpc::ByteBuffer& request, rpc::Caller caller);

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  absl::Status Open(grpc::ByteBuffer bytes, const std::string& ns);
  // Makes `response_` of what is at `offset_`, and moves that.
  absl::Status Fill();
  void SendNext();

  Executor& executor_;
  ContentProvider& content_;
  std::string digest_;
  std::unique_ptr<BlobReader> blob_;
  uint64_t offset_ = 0;
  uint64_t end_ = 0;
  grpc::ByteBuffer response_;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_READ_REACTOR_H_
