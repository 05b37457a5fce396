#ifndef GANTRY_SERVICES_CONTENT_CONTENT_SERVICE_H_
#define GANTRY_SERVICES_CONTENT_CONTENT_SERVICE_H_

#include "base/executor.h"
#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "services/content/content_store.h"
#include "services/rpc/context.h"
#include "services/rpc/event_publisher.h"

namespace gantry::content {

// containerd.services.content.v1.Content. Read makes its messages itself, see ReadReactor.
class ContentService final
    : public containerd::services::content::v1::Content::WithRawCallbackMethod_Read<
          containerd::services::content::v1::Content::CallbackService> {
 public:
  // All outlive this.
  ContentService(ContentStore& store, Executor& executor, rpc::EventPublisher& events,
                 rpc::Caller caller = rpc::Caller::kClient)
      : store_(store), executor_(executor), events_(events), caller_(caller) {}

  grpc::ServerUnaryReactor* Info(
      grpc::CallbackServerContext* context,
      const containerd::services::content::v1::InfoRequest* request,
      containerd::services::content::v1::InfoResponse* response) override;
  grpc::ServerUnaryReactor* Update(
      grpc::CallbackServerContext* context,
      const containerd::services::content::v1::UpdateRequest* request,
      containerd::services::content::v1::UpdateResponse* response) override;
  grpc::ServerWriteReactor<containerd::services::content::v1::ListContentResponse>* List(
      grpc::CallbackServerContext* context,
      const containerd::services::content::v1::ListContentRequest* request) override;
  grpc::ServerUnaryReactor* Delete(
      grpc::CallbackServerContext* context,
      const containerd::services::content::v1::DeleteContentRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Read(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* Status(
      grpc::CallbackServerContext* context,
      const containerd::services::content::v1::StatusRequest* request,
      containerd::services::content::v1::StatusResponse* response) override;
  grpc::ServerUnaryReactor* ListStatuses(
      grpc::CallbackServerContext* context,
      const containerd::services::content::v1::ListStatusesRequest* request,
      containerd::services::content::v1::ListStatusesResponse* response) override;
  grpc::ServerBidiReactor<containerd::services::content::v1::WriteContentRequest,
                          containerd::services::content::v1::WriteContentResponse>*
  Write(grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Abort(grpc::CallbackServerContext* context,
                                  const containerd::services::content::v1::AbortRequest* request,
                                  google::protobuf::Empty* response) override;

 private:
  ContentStore& store_;
  Executor& executor_;
  rpc::EventPublisher& events_;
  const rpc::Caller caller_;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_CONTENT_SERVICE_H_
