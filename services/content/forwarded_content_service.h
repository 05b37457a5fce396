#ifndef GANTRY_SERVICES_CONTENT_FORWARDED_CONTENT_SERVICE_H_
#define GANTRY_SERVICES_CONTENT_FORWARDED_CONTENT_SERVICE_H_

#include "proto/containerd/services/content/v1/content.grpc.pb.h"
#include "services/rpc/event_publisher.h"
#include "services/rpc/forward.h"

namespace gantry::content {

// containerd.services.content.v1.Content with every method in its raw form.
using RawContent = containerd::services::content::v1::Content;
using RawContentService = RawContent::WithRawCallbackMethod_Info<
    RawContent::WithRawCallbackMethod_Update<RawContent::WithRawCallbackMethod_List<
        RawContent::WithRawCallbackMethod_Delete<RawContent::WithRawCallbackMethod_Read<
            RawContent::WithRawCallbackMethod_Status<RawContent::WithRawCallbackMethod_ListStatuses<
                RawContent::WithRawCallbackMethod_Write<
                    RawContent::WithRawCallbackMethod_Abort<RawContent::Service>>>>>>>>>;

// Content that another process serves: calls are passed on as they come. That process announces
// nothing here, so the events of what was made and deleted are published by this one.
class ForwardedContentService final : public RawContentService {
 public:
  // `events` outlives this.
  ForwardedContentService(std::shared_ptr<grpc::Channel> channel, rpc::EventPublisher& events)
      : forwarder_(std::move(channel)), events_(events) {}

  grpc::ServerUnaryReactor* Info(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Update(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* List(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;
  grpc::ServerWriteReactor<grpc::ByteBuffer>* Read(grpc::CallbackServerContext* context,
                                                   const grpc::ByteBuffer* request) override;
  grpc::ServerUnaryReactor* Status(grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request,
                                   grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* ListStatuses(grpc::CallbackServerContext* context,
                                         const grpc::ByteBuffer* request,
                                         grpc::ByteBuffer* response) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Write(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* Abort(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override;

 private:
  rpc::Forwarder forwarder_;
  rpc::EventPublisher& events_;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_FORWARDED_CONTENT_SERVICE_H_
