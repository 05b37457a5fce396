#ifndef GANTRY_SERVICES_NAMESPACES_NAMESPACES_SERVICE_H_
#define GANTRY_SERVICES_NAMESPACES_NAMESPACES_SERVICE_H_

#include "base/executor.h"
#include "proto/containerd/services/namespaces/v1/namespace.grpc.pb.h"
#include "services/namespaces/namespaces.h"
#include "services/rpc/event_publisher.h"

namespace gantry::namespaces {

// containerd.services.namespaces.v1.Namespaces. Needs no namespace header.
class NamespacesService final
    : public containerd::services::namespaces::v1::Namespaces::CallbackService {
 public:
  // All outlive this.
  NamespacesService(Namespaces& namespaces, Executor& executor, rpc::EventPublisher& events)
      : namespaces_(namespaces), executor_(executor), events_(events) {}

  grpc::ServerUnaryReactor* Get(
      grpc::CallbackServerContext* context,
      const containerd::services::namespaces::v1::GetNamespaceRequest* request,
      containerd::services::namespaces::v1::GetNamespaceResponse* response) override;
  grpc::ServerUnaryReactor* List(
      grpc::CallbackServerContext* context,
      const containerd::services::namespaces::v1::ListNamespacesRequest* request,
      containerd::services::namespaces::v1::ListNamespacesResponse* response) override;
  grpc::ServerUnaryReactor* Create(
      grpc::CallbackServerContext* context,
      const containerd::services::namespaces::v1::CreateNamespaceRequest* request,
      containerd::services::namespaces::v1::CreateNamespaceResponse* response) override;
  grpc::ServerUnaryReactor* Update(
      grpc::CallbackServerContext* context,
      const containerd::services::namespaces::v1::UpdateNamespaceRequest* request,
      containerd::services::namespaces::v1::UpdateNamespaceResponse* response) override;
  grpc::ServerUnaryReactor* Delete(
      grpc::CallbackServerContext* context,
      const containerd::services::namespaces::v1::DeleteNamespaceRequest* request,
      google::protobuf::Empty* response) override;

 private:
  Namespaces& namespaces_;
  Executor& executor_;
  rpc::EventPublisher& events_;
};

}  // namespace gantry::namespaces

#endif  // GANTRY_SERVICES_NAMESPACES_NAMESPACES_SERVICE_H_
