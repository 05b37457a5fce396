#include "services/containers/containers_service.h"

#include "base/errors.h"
#include "proto/containerd/events/container.pb.h"
#include "services/rpc/convert.h"
#include "services/rpc/list_writer.h"
#include "services/rpc/unary.h"

namespace gantry::containers {
namespace {

namespace api = containerd::services::containers::v1;

void ToProto(const Container& container, api::Container* out) {
  out->set_id(container.id);
  rpc::ToProto(container.labels, out->mutable_labels());
  out->set_image(container.image);
  out->mutable_runtime()->set_name(container.runtime_name);
  if (container.runtime_options != Any{}) {
    rpc::ToProto(container.runtime_options, out->mutable_runtime()->mutable_options());
  }
  rpc::ToProto(container.spec, out->mutable_spec());
  out->set_snapshotter(container.snapshotter);
  out->set_snapshot_key(container.snapshot_key);
  rpc::ToProto(container.created_at, out->mutable_created_at());
  rpc::ToProto(container.updated_at, out->mutable_updated_at());
  for (const auto& [name, any] : container.extensions)
    rpc::ToProto(any, &(*out->mutable_extensions())[name]);
  out->set_sandbox(container.sandbox);
}

Container FromProto(const api::Container& in) {
  Container container;
  container.id = in.id();
  container.labels = rpc::ToLabels(in.labels());
  container.image = in.image();
  container.runtime_name = in.runtime().name();
  container.runtime_options = rpc::ToAny(in.runtime().options());
  container.spec = rpc::ToAny(in.spec());
  container.snapshotter = in.snapshotter();
  container.snapshot_key = in.snapshot_key();
  for (const auto& [name, any] : in.extensions()) container.extensions[name] = rpc::ToAny(any);
  container.sandbox = in.sandbox();
  return container;
}

std::vector<std::string> Filters(const api::ListContainersRequest& request) {
  return {request.filters().begin(), request.filters().end()};
}

}  // namespace

grpc::ServerUnaryReactor* ContainersService::Get(grpc::CallbackServerContext* context,
                                                 const api::GetContainerRequest* request,
                                                 api::GetContainerResponse* response) {
  return rpc::UnaryLookup(context, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Container container, containers_.Get(rpc.ns, request->id()));
    ToProto(container, response->mutable_container());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ContainersService::List(grpc::CallbackServerContext* context,
                                                  const api::ListContainersRequest* request,
                                                  api::ListContainersResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<Container> list,
                            containers_.List(rpc.ns, Filters(*request)));
    for (const Container& container : list) ToProto(container, response->add_containers());
    return absl::OkStatus();
  });
}

grpc::ServerWriteReactor<api::ListContainerMessage>* ContainersService::ListStream(
    grpc::CallbackServerContext* context, const api::ListContainersRequest* request) {
  return rpc::WriteAll<api::ListContainerMessage>(
      context, executor_,
      [=, this](const rpc::RequestContext& rpc)
          -> absl::StatusOr<std::vector<api::ListContainerMessage>> {
        GANTRY_ASSIGN_OR_RETURN(const std::vector<Container> list,
                                containers_.List(rpc.ns, Filters(*request)));
        std::vector<api::ListContainerMessage> messages(list.size());
        for (size_t i = 0; i < list.size(); ++i) ToProto(list[i], messages[i].mutable_container());
        return messages;
      });
}

grpc::ServerUnaryReactor* ContainersService::Create(grpc::CallbackServerContext* context,
                                                    const api::CreateContainerRequest* request,
                                                    api::CreateContainerResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Container container,
                            containers_.Create(rpc.ns, FromProto(request->container())));
    ToProto(container, response->mutable_container());
    containerd::events::ContainerCreate event;
    event.set_id(container.id);
    event.set_image(container.image);
    event.mutable_runtime()->set_name(container.runtime_name);
    rpc::ToProto(container.runtime_options, event.mutable_runtime()->mutable_options());
    events_.Publish(rpc.ns, "/containers/create", event);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ContainersService::Update(grpc::CallbackServerContext* context,
                                                    const api::UpdateContainerRequest* request,
                                                    api::UpdateContainerResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Container container,
                            containers_.Update(rpc.ns, FromProto(request->container()),
                                               rpc::ToPaths(request->update_mask())));
    ToProto(container, response->mutable_container());
    containerd::events::ContainerUpdate event;
    event.set_id(container.id);
    event.set_image(container.image);
    rpc::ToProto(container.labels, event.mutable_labels());
    event.set_snapshot_key(container.snapshot_key);
    events_.Publish(rpc.ns, "/containers/update", event);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ContainersService::Delete(grpc::CallbackServerContext* context,
                                                    const api::DeleteContainerRequest* request,
                                                    google::protobuf::Empty*) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(containers_.Delete(rpc.ns, request->id()));
    containerd::events::ContainerDelete event;
    event.set_id(request->id());
    events_.Publish(rpc.ns, "/containers/delete", event);
    return absl::OkStatus();
  });
}

}  // namespace gantry::containers
