#ifndef GANTRY_SERVICES_CONTENT_READ_REACTOR_H_
#define GANTRY_SERVICES_CONTENT_READ_REACTOR_H_

#include <memory>

#include "base/executor.h"
#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "services/content/content.h"

namespace gantry::content {

// Streams a range of a blob, one chunk in flight: the next is read when the last has gone out.
// Owned by gRPC until OnDone.
class ReadReactor final
    : public grpc::ServerWriteReactor<containerd::services::content::v1::ReadContentResponse> {
 public:
  ReadReactor(grpc::CallbackServerContext* context, Executor& executor, ContentProvider& content,
              const containerd::services::content::v1::ReadContentRequest* request);

  void OnWriteDone(bool ok) override;
  void OnDone() override { delete this; }

 private:
  absl::Status Open(const containerd::services::content::v1::ReadContentRequest& request,
                    const std::string& ns);
  void SendNext();

  Executor& executor_;
  ContentProvider& content_;
  std::string digest_;
  std::unique_ptr<BlobReader> blob_;
  uint64_t offset_ = 0;
  uint64_t end_ = 0;
  containerd::services::content::v1::ReadContentResponse response_;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_READ_REACTOR_H_
