#include "services/images/images_service.h"

#include "base/errors.h"
#include "proto/containerd/services/images/v1/image_events.pb.h"
#include "services/images/image_list_convert.h"
#include "services/rpc/convert.h"
#include "services/rpc/raw.h"
#include "services/rpc/unary.h"

namespace gantry::images {
namespace {

namespace api = containerd::services::images::v1;

Descriptor FromProto(const containerd::types::Descriptor& in) {
  return {in.media_type(), in.digest(), in.size(), rpc::ToLabels(in.annotations())};
}

Image FromProto(const api::Image& in) {
  Image image;
  image.name = in.name();
  image.labels = rpc::ToLabels(in.labels());
  image.target = FromProto(in.target());
  return image;
}

void ToProto(const Image& image, api::Image* out) {
  out->set_name(image.name);
  rpc::ToProto(image.labels, out->mutable_labels());
  out->mutable_target()->set_media_type(image.target.media_type);
  out->mutable_target()->set_digest(image.target.digest);
  out->mutable_target()->set_size(image.target.size_bytes);
  rpc::ToProto(image.target.annotations, out->mutable_target()->mutable_annotations());
  rpc::ToProto(image.created_at, out->mutable_created_at());
  rpc::ToProto(image.updated_at, out->mutable_updated_at());
}

template <typename Request>
std::optional<absl::Time> EpochOf(const Request& request) {
  if (!request.has_source_date_epoch()) return std::nullopt;
  return rpc::ToTime(request.source_date_epoch());
}

}  // namespace

grpc::ServerUnaryReactor* ImagesService::Get(grpc::CallbackServerContext* context,
                                             const api::GetImageRequest* request,
                                             api::GetImageResponse* response) {
  return rpc::UnaryLookup(context, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Image image, images_.Get(rpc.ns, request->name()));
    ToProto(image, response->mutable_image());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ImagesService::List(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* bytes,
                                              grpc::ByteBuffer* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const auto request, rpc::Parse<api::ListImagesRequest>(*bytes));
    const std::vector<std::string> filters(request.filters().begin(), request.filters().end());
    ImageList list;
    GANTRY_RETURN_IF_ERROR(
        images_.List(rpc.ns, filters, [&list](const ImageView& image) { list.Add(image); }));
    *response = list.Take();
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ImagesService::Create(grpc::CallbackServerContext* context,
                                                const api::CreateImageRequest* request,
                                                api::CreateImageResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Image image,
                            images_.Create(rpc.ns, FromProto(request->image()), EpochOf(*request)));
    ToProto(image, response->mutable_image());
    api::ImageCreate event;
    event.set_name(image.name);
    rpc::ToProto(image.labels, event.mutable_labels());
    events_.Publish(rpc.ns, "/images/create", event);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ImagesService::Update(grpc::CallbackServerContext* context,
                                                const api::UpdateImageRequest* request,
                                                api::UpdateImageResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(
        const Image image, images_.Update(rpc.ns, FromProto(request->image()),
                                          rpc::ToPaths(request->update_mask()), EpochOf(*request)));
    ToProto(image, response->mutable_image());
    api::ImageUpdate event;
    event.set_name(image.name);
    rpc::ToProto(image.labels, event.mutable_labels());
    events_.Publish(rpc.ns, "/images/update", event);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* ImagesService::Delete(grpc::CallbackServerContext* context,
                                                const api::DeleteImageRequest* request,
                                                google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [this, request = *request](
                                      const rpc::RequestContext& rpc,
                                      const std::shared_ptr<rpc::AsyncReactor>& reactor) {
    executor_.Run([this, request, ns = rpc.ns, reactor] {
      std::optional<Descriptor> target;
      if (request.has_target()) target = FromProto(request.target());
      const absl::Status deleted = images_.Delete(ns, request.name(), target);
      if (deleted.ok()) {
        api::ImageDelete event;
        event.set_name(request.name());
        events_.Publish(ns, "/images/delete", event);
      }
      if (!deleted.ok() || !request.sync()) return reactor->Complete(deleted);
      collector_.CollectThen([reactor](const absl::Status& status) { reactor->Complete(status); });
    });
  });
}

}  // namespace gantry::images
