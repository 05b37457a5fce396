#ifndef GANTRY_SERVICES_CONTAINERS_CONTAINERS_SERVICE_H_
#define GANTRY_SERVICES_CONTAINERS_CONTAINERS_SERVICE_H_

#include "base/executor.h"
#include "proto/containerd/services/containers/v1/containers.grpc.pb.h"
#include "services/containers/containers.h"
#include "services/rpc/event_publisher.h"

namespace gantry::containers {

// containerd.services.containers.v1.Containers.
class ContainersService final
    : public containerd::services::containers::v1::Containers::CallbackService {
 public:
  // All outlive this.
  ContainersService(Containers& containers, Executor& executor, rpc::EventPublisher& events)
      : containers_(containers), executor_(executor), events_(events) {}

  grpc::ServerUnaryReactor* Get(
      grpc::CallbackServerContext* context,
      const containerd::services::containers::v1::GetContainerRequest* request,
      containerd::services::containers::v1::GetContainerResponse* response) override;
  grpc::ServerUnaryReactor* List(
      grpc::CallbackServerContext* context,
      const containerd::services::containers::v1::ListContainersRequest* request,
      containerd::services::containers::v1::ListContainersResponse* response) override;
  grpc::ServerWriteReactor<containerd::services::containers::v1::ListContainerMessage>* ListStream(
      grpc::CallbackServerContext* context,
      const containerd::services::containers::v1::ListContainersRequest* request) override;
  grpc::ServerUnaryReactor* Create(
      grpc::CallbackServerContext* context,
      const containerd::services::containers::v1::CreateContainerRequest* request,
      containerd::services::containers::v1::CreateContainerResponse* response) override;
  grpc::ServerUnaryReactor* Update(
      grpc::CallbackServerContext* context,
      const containerd::services::containers::v1::UpdateContainerRequest* request,
      containerd::services::containers::v1::UpdateContainerResponse* response) override;
  grpc::ServerUnaryReactor* Delete(
      grpc::CallbackServerContext* context,
      const containerd::services::containers::v1::DeleteContainerRequest* request,
      google::protobuf::Empty* response) override;

 private:
  Containers& containers_;
  Executor& executor_;
  rpc::EventPublisher& events_;
};

}  // namespace gantry::containers

#endif  // GANTRY_SERVICES_CONTAINERS_CONTAINERS_SERVICE_H_
