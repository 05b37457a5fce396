#ifndef GANTRY_SERVICES_LEASES_LEASES_SERVICE_H_
#define GANTRY_SERVICES_LEASES_LEASES_SERVICE_H_

#include "base/executor.h"
#include "proto/containerd/services/leases/v1/leases.grpc.pb.h"
#include "services/leases/leases.h"

namespace gantry::leases {

// containerd.services.leases.v1.Leases.
class LeasesService final : public containerd::services::leases::v1::Leases::CallbackService {
 public:
  // All outlive this.
  LeasesService(Leases& leases, Executor& executor, gc::Trigger& collector)
      : leases_(leases), executor_(executor), collector_(collector) {}

  grpc::ServerUnaryReactor* Create(
      grpc::CallbackServerContext* context,
      const containerd::services::leases::v1::CreateRequest* request,
      containerd::services::leases::v1::CreateResponse* response) override;
  grpc::ServerUnaryReactor* Delete(grpc::CallbackServerContext* context,
                                   const containerd::services::leases::v1::DeleteRequest* request,
                                   google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* List(grpc::CallbackServerContext* context,
                                 const containerd::services::leases::v1::ListRequest* request,
                                 containerd::services::leases::v1::ListResponse* response) override;
  grpc::ServerUnaryReactor* AddResource(
      grpc::CallbackServerContext* context,
      const containerd::services::leases::v1::AddResourceRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* DeleteResource(
      grpc::CallbackServerContext* context,
      const containerd::services::leases::v1::DeleteResourceRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* ListResources(
      grpc::CallbackServerContext* context,
      const containerd::services::leases::v1::ListResourcesRequest* request,
      containerd::services::leases::v1::ListResourcesResponse* response) override;

 private:
  Leases& leases_;
  Executor& executor_;
  gc::Trigger& collector_;
};

}  // namespace gantry::leases

#endif  // GANTRY_SERVICES_LEASES_LEASES_SERVICE_H_
