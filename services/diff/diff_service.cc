#include "services/diff/diff_service.h"

#include "base/errors.h"
#include "services/diff/diff_applier.h"
#include "services/diff/media_type.h"
#include "services/rpc/unary.h"

namespace gantry::diff {

namespace api = containerd::services::diff::v1;

grpc::ServerUnaryReactor* DiffService::Apply(grpc::CallbackServerContext* context,
                                             const api::ApplyRequest* request,
                                             api::ApplyResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(CheckLayerMediaType(request->diff().media_type()));
    if (!request->payloads().empty()) {
      return absl::UnimplementedError(absl::StrCat(
          "apply a layer with a payload for stream processor \"",
          request->payloads().begin()->first, "\": stream processors are not implemented"));
    }
    GANTRY_ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(request->diff().digest()));
    std::vector<Mount> mounts;
    for (const containerd::types::Mount& mount : request->mounts()) {
      mounts.push_back(
          Mount{mount.type(), mount.source(), {mount.options().begin(), mount.options().end()}});
    }
    GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<content::BlobReader> blob,
                            content_.Open(rpc.ns, digest));
    absl::StatusOr<Applied> applied = ApplyLayer(blob->fd(), blob->size(), mounts);
    if (!applied.ok())
      return Annotate(applied.status(), absl::StrCat("apply layer ", digest.text()));
    response->mutable_applied()->set_media_type(kUncompressedLayer);
    response->mutable_applied()->set_digest(applied->digest.text());
    response->mutable_applied()->set_size(applied->size_bytes);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* DiffService::Diff(grpc::CallbackServerContext* context,
                                            const api::DiffRequest*, api::DiffResponse*) {
  return rpc::Unary(context, executor_, [](const rpc::RequestContext&) {
    return absl::UnimplementedError("comparing two snapshots to a layer is not implemented");
  });
}

}  // namespace gantry::diff
