#include "services/leases/leases_service.h"

#include "base/errors.h"
#include "services/rpc/convert.h"
#include "services/rpc/unary.h"

namespace gantry::leases {
namespace {

namespace api = containerd::services::leases::v1;

void ToProto(const Lease& lease, api::Lease* out) {
  out->set_id(lease.id);
  rpc::ToProto(lease.created_at, out->mutable_created_at());
  rpc::ToProto(lease.labels, out->mutable_labels());
}

metadata::LeaseResource FromProto(const api::Resource& in) { return {in.type(), in.id()}; }

}  // namespace

grpc::ServerUnaryReactor* LeasesService::Create(grpc::CallbackServerContext* context,
                                                const api::CreateRequest* request,
                                                api::CreateResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    Lease wanted;
    wanted.id = request->id();
    wanted.labels = rpc::ToLabels(request->labels());
    GANTRY_ASSIGN_OR_RETURN(const Lease lease, leases_.Create(rpc.ns, wanted));
    ToProto(lease, response->mutable_lease());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* LeasesService::Delete(grpc::CallbackServerContext* context,
                                                const api::DeleteRequest* request,
                                                google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [this, id = request->id(), sync = request->sync()](
                                      const rpc::RequestContext& rpc,
                                      const std::shared_ptr<rpc::AsyncReactor>& reactor) {
    executor_.Run([this, id, sync, ns = rpc.ns, reactor] {
      const absl::Status deleted = leases_.Delete(ns, id);
      if (!deleted.ok() || !sync) return reactor->Complete(deleted);
      collector_.CollectThen([reactor](const absl::Status& status) { reactor->Complete(status); });
    });
  });
}

grpc::ServerUnaryReactor* LeasesService::List(grpc::CallbackServerContext* context,
                                              const api::ListRequest* request,
                                              api::ListResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    const std::vector<std::string> filters(request->filters().begin(), request->filters().end());
    GANTRY_ASSIGN_OR_RETURN(const std::vector<Lease> list, leases_.List(rpc.ns, filters));
    for (const Lease& lease : list) ToProto(lease, response->add_leases());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* LeasesService::AddResource(grpc::CallbackServerContext* context,
                                                     const api::AddResourceRequest* request,
                                                     google::protobuf::Empty*) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) {
    return leases_.AddResource(rpc.ns, request->id(), FromProto(request->resource()));
  });
}

grpc::ServerUnaryReactor* LeasesService::DeleteResource(grpc::CallbackServerContext* context,
                                                        const api::DeleteResourceRequest* request,
                                                        google::protobuf::Empty*) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) {
    return leases_.DeleteResource(rpc.ns, request->id(), FromProto(request->resource()));
  });
}

grpc::ServerUnaryReactor* LeasesService::ListResources(grpc::CallbackServerContext* context,
                                                       const api::ListResourcesRequest* request,
                                                       api::ListResourcesResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<metadata::LeaseResource> resources,
                            leases_.ListResources(rpc.ns, request->id()));
    for (const metadata::LeaseResource& resource : resources) {
      api::Resource* added = response->add_resources();
      added->set_type(resource.type);
      added->set_id(resource.id);
    }
    return absl::OkStatus();
  });
}

}  // namespace gantry::leases
