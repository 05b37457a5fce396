#include "services/content/content_service.h"

#include "base/errors.h"
#include "proto/containerd/events/content.pb.h"
#include "services/content/read_reactor.h"
#include "services/content/write_reactor.h"
#include "services/rpc/convert.h"
#include "services/rpc/list_writer.h"
#include "services/rpc/unary.h"

namespace gantry::content {
namespace {

namespace api = containerd::services::content::v1;

constexpr size_t kListBatch = 100;

void ToProto(const BlobInfo& info, api::Info* out) {
  out->set_digest(info.digest.text());
  out->set_size(info.size_bytes);
  rpc::ToProto(info.created_at, out->mutable_created_at());
  rpc::ToProto(info.updated_at, out->mutable_updated_at());
  rpc::ToProto(info.labels, out->mutable_labels());
}

void ToProto(const IngestStatus& status, api::Status* out) {
  rpc::ToProto(status.started_at, out->mutable_started_at());
  rpc::ToProto(status.updated_at, out->mutable_updated_at());
  out->set_ref(status.ref);
  out->set_offset(status.offset_bytes);
  out->set_total(status.total_bytes);
  out->set_expected(status.expected);
}

}  // namespace

grpc::ServerUnaryReactor* ContentService::Info(grpc::CallbackServerContext* context,
                                               const api::InfoRequest* request,
                                               api::InfoResponse* response) {
  return rpc::UnaryLookup(
      context,
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(request->digest()));
        GANTRY_ASSIGN_OR_RETURN(const BlobInfo info, store_.Info(rpc.ns, digest));
        ToProto(info, response->mutable_info());
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerUnaryReactor* ContentService::Update(grpc::CallbackServerContext* context,
                                                 const api::UpdateRequest* request,
                                                 api::UpdateResponse* response) {
  return rpc::Unary(
      context, executor_,
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        BlobInfo wanted;
        GANTRY_ASSIGN_OR_RETURN(wanted.digest, Digest::Parse(request->info().digest()));
        wanted.labels = rpc::ToLabels(request->info().labels());
        GANTRY_ASSIGN_OR_RETURN(
            const BlobInfo info,
            store_.Update(rpc.ns, wanted, rpc::ToPaths(request->update_mask())));
        ToProto(info, response->mutable_info());
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerWriteReactor<api::ListContentResponse>* ContentService::List(
    grpc::CallbackServerContext* context, const api::ListContentRequest* request) {
  return rpc::WriteAll<api::ListContentResponse>(
      context, executor_,
      [=, this](
          const rpc::RequestContext& rpc) -> absl::StatusOr<std::vector<api::ListContentResponse>> {
        const std::vector<std::string> filters(request->filters().begin(),
                                               request->filters().end());
        GANTRY_ASSIGN_OR_RETURN(const std::vector<BlobInfo> list, store_.List(rpc.ns, filters));
        std::vector<api::ListContentResponse> batches((list.size() + kListBatch - 1) / kListBatch);
        for (size_t i = 0; i < list.size(); ++i)
          ToProto(list[i], batches[i / kListBatch].add_info());
        return batches;
      },
      caller_);
}

grpc::ServerUnaryReactor* ContentService::Delete(grpc::CallbackServerContext* context,
                                                 const api::DeleteContentRequest* request,
                                                 google::protobuf::Empty*) {
  return rpc::Unary(
      context, executor_,
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(request->digest()));
        GANTRY_RETURN_IF_ERROR(store_.Delete(Scope{rpc.ns, rpc.lease}, digest));
        containerd::events::ContentDelete event;
        event.set_digest(digest.text());
        events_.Publish(rpc.ns, "/content/delete", event);
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerWriteReactor<grpc::ByteBuffer>* ContentService::Read(
    grpc::CallbackServerContext* context, const grpc::ByteBuffer* request) {
  return new ReadReactor(context, executor_, store_, *request, caller_);
}

grpc::ServerUnaryReactor* ContentService::Status(grpc::CallbackServerContext* context,
                                                 const api::StatusRequest* request,
                                                 api::StatusResponse* response) {
  return rpc::Unary(
      context, executor_,
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(const IngestStatus status, store_.Status(rpc.ns, request->ref()));
        ToProto(status, response->mutable_status());
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerUnaryReactor* ContentService::ListStatuses(grpc::CallbackServerContext* context,
                                                       const api::ListStatusesRequest* request,
                                                       api::ListStatusesResponse* response) {
  return rpc::Unary(
      context, executor_,
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        const std::vector<std::string> filters(request->filters().begin(),
                                               request->filters().end());
        GANTRY_ASSIGN_OR_RETURN(const std::vector<IngestStatus> list,
                                store_.ListStatuses(rpc.ns, filters));
        for (const IngestStatus& status : list) ToProto(status, response->add_statuses());
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerBidiReactor<api::WriteContentRequest, api::WriteContentResponse>* ContentService::Write(
    grpc::CallbackServerContext* context) {
  return new WriteReactor(context, executor_, store_, events_, caller_);
}

grpc::ServerUnaryReactor* ContentService::Abort(grpc::CallbackServerContext* context,
                                                const api::AbortRequest* request,
                                                google::protobuf::Empty*) {
  return rpc::Unary(
      context, executor_,
      [=, this](const rpc::RequestContext& rpc) { return store_.Abort(rpc.ns, request->ref()); },
      caller_);
}

}  // namespace gantry::content
