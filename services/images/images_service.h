#ifndef GANTRY_SERVICES_IMAGES_IMAGES_SERVICE_H_
#define GANTRY_SERVICES_IMAGES_IMAGES_SERVICE_H_

#include "base/executor.h"
#include "proto/containerd/services/images/v1/images.grpc.pb.h"
#include "services/images/images.h"
#include "services/rpc/event_publisher.h"

namespace gantry::images {

// containerd.services.images.v1.Images. List makes its answer itself, see ImageList.
class ImagesService final
    : public containerd::services::images::v1::Images::WithRawCallbackMethod_List<
          containerd::services::images::v1::Images::CallbackService> {
 public:
  // All outlive this.
  ImagesService(Images& images, Executor& executor, rpc::EventPublisher& events,
                gc::Trigger& collector)
      : images_(images), executor_(executor), events_(events), collector_(collector) {}

  grpc::ServerUnaryReactor* Get(
      grpc::CallbackServerContext* context,
      const containerd::services::images::v1::GetImageRequest* request,
      containerd::services::images::v1::GetImageResponse* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const grpc::ByteBuffer* request,
                                 grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Create(
      grpc::CallbackServerContext* context,
      const containerd::services::images::v1::CreateImageRequest* request,
      containerd::services::images::v1::CreateImageResponse* response) override;
  grpc::ServerUnaryReactor* Update(
      grpc::CallbackServerContext* context,
      const containerd::services::images::v1::UpdateImageRequest* request,
      containerd::services::images::v1::UpdateImageResponse* response) override;
  grpc::ServerUnaryReactor* Delete(
      grpc::CallbackServerContext* context,
      const containerd::services::images::v1::DeleteImageRequest* request,
      google::protobuf::Empty* response) override;

 private:
  Images& images_;
  Executor& executor_;
  rpc::EventPublisher& events_;
  gc::Trigger& collector_;
};

}  // namespace gantry::images

#endif  // GANTRY_SERVICES_IMAGES_IMAGES_SERVICE_H_
