#include "services/namespaces/namespaces_service.h"

#include "base/errors.h"
#include "proto/containerd/events/namespace.pb.h"
#include "services/rpc/convert.h"
#include "services/rpc/unary.h"

namespace gantry::namespaces {
namespace {

namespace api = containerd::services::namespaces::v1;

void ToProto(const Namespace& ns, api::Namespace* out) {
  out->set_name(ns.name);
  rpc::ToProto(ns.labels, out->mutable_labels());
}

Namespace FromProto(const api::Namespace& ns) { return {ns.name(), rpc::ToLabels(ns.labels())}; }

}  // namespace

grpc::ServerUnaryReactor* NamespacesService::Get(grpc::CallbackServerContext* context,
                                                 const api::GetNamespaceRequest* request,
                                                 api::GetNamespaceResponse* response) {
  return rpc::UnaryLookupWithoutNamespace(context, [=, this]() -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Namespace ns, namespaces_.Get(request->name()));
    ToProto(ns, response->mutable_namespace_());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NamespacesService::List(grpc::CallbackServerContext* context,
                                                  const api::ListNamespacesRequest* request,
                                                  api::ListNamespacesResponse* response) {
  return rpc::UnaryWithoutNamespace(context, executor_, [=, this]() -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<Namespace> list, namespaces_.List(request->filter()));
    for (const Namespace& ns : list) ToProto(ns, response->add_namespaces());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NamespacesService::Create(grpc::CallbackServerContext* context,
                                                    const api::CreateNamespaceRequest* request,
                                                    api::CreateNamespaceResponse* response) {
  return rpc::UnaryWithoutNamespace(context, executor_, [=, this]() -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Namespace ns,
                            namespaces_.Create(FromProto(request->namespace_())));
    ToProto(ns, response->mutable_namespace_());
    containerd::events::NamespaceCreate event;
    event.set_name(ns.name);
    rpc::ToProto(ns.labels, event.mutable_labels());
    events_.Publish(ns.name, "/namespaces/create", event);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NamespacesService::Update(grpc::CallbackServerContext* context,
                                                    const api::UpdateNamespaceRequest* request,
                                                    api::UpdateNamespaceResponse* response) {
  return rpc::UnaryWithoutNamespace(context, executor_, [=, this]() -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(
        const Namespace ns,
        namespaces_.Update(FromProto(request->namespace_()), rpc::ToPaths(request->update_mask())));
    ToProto(ns, response->mutable_namespace_());
    containerd::events::NamespaceUpdate event;
    event.set_name(ns.name);
    rpc::ToProto(ns.labels, event.mutable_labels());
    events_.Publish(ns.name, "/namespaces/update", event);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* NamespacesService::Delete(grpc::CallbackServerContext* context,
                                                    const api::DeleteNamespaceRequest* request,
                                                    google::protobuf::Empty*) {
  return rpc::UnaryWithoutNamespace(context, executor_, [=, this]() -> absl::Status {
    GANTRY_RETURN_IF_ERROR(namespaces_.Delete(request->name()));
    containerd::events::NamespaceDelete event;
    event.set_name(request->name());
    events_.Publish(request->name(), "/namespaces/delete", event);
    return absl::OkStatus();
  });
}

}  // namespace gantry::namespaces
