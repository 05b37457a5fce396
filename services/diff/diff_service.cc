#include "services/diff/diff_service.h"

#include "base/errors.h"
#include "base/random.h"
#include "services/diff/diff_applier.h"
#include "services/diff/layer_comparer.h"
#include "services/diff/media_type.h"
#include "services/rpc/convert.h"
#include "services/rpc/unary.h"

namespace gantry::diff {

namespace api = containerd::services::diff::v1;

namespace {

// On a compressed layer: the digest of what it is uncompressed.
constexpr char kUncompressedLabel[] = "containerd.io/uncompressed";

std::vector<Mount> ToMounts(
    const google::protobuf::RepeatedPtrField<containerd::types::Mount>& list) {
  std::vector<Mount> mounts;
  for (const containerd::types::Mount& mount : list) {
    mounts.push_back(
        Mount{mount.type(), mount.source(), {mount.options().begin(), mount.options().end()}});
  }
  return mounts;
}

}  // namespace

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
    const std::vector<Mount> mounts = ToMounts(request->mounts());
    GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<content::BlobReader> blob,
                            content_.Open(rpc.ns, digest));
    absl::StatusOr<Applied> applied = ApplyLayer(blob->fd(), blob->size(), mounts, limits_);
    if (!applied.ok())
      return Annotate(applied.status(), absl::StrCat("apply layer ", digest.text()));
    response->mutable_applied()->set_media_type(kUncompressedLayer);
    response->mutable_applied()->set_digest(applied->digest.text());
    response->mutable_applied()->set_size(applied->size_bytes);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* DiffService::Diff(grpc::CallbackServerContext* context,
                                            const api::DiffRequest* request,
                                            api::DiffResponse* response) {
  return rpc::Unary(context, executor_, [=, this](const rpc::RequestContext& rpc) -> absl::Status {
    const std::string media_type =
        request->media_type().empty() ? kDefaultLayer : request->media_type();
    CompareOptions options;
    GANTRY_ASSIGN_OR_RETURN(options.compression, CompressionOf(media_type));
    if (request->has_source_date_epoch()) {
      options.latest_time = request->source_date_epoch().seconds();
    }
    const std::string ref =
        request->ref().empty() ? absl::StrCat("gantry-diff-", RandomHex(8)) : request->ref();
    GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<content::BlobMaker> blob,
                            content_.Make({rpc.ns, rpc.lease}, ref));
    const absl::StatusOr<Applied> made =
        CompareTrees(ToMounts(request->left()), ToMounts(request->right()), options,
                     [&](absl::string_view bytes) { return blob->Write(bytes); });
    if (!made.ok()) return Annotate(made.status(), "compare to a layer");
    Labels labels = rpc::ToLabels(request->labels());
    if (options.compression != Compression::kNone) {
      labels[kUncompressedLabel] = made->digest.text();
    }
    GANTRY_ASSIGN_OR_RETURN(const content::BlobInfo info, blob->Commit(labels));
    response->mutable_diff()->set_media_type(media_type);
    response->mutable_diff()->set_digest(info.digest.text());
    response->mutable_diff()->set_size(info.size_bytes);
    return absl::OkStatus();
  });
}

}  // namespace gantry::diff
