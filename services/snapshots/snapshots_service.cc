#include "services/snapshots/snapshots_service.h"

#include "base/errors.h"
#include "proto/containerd/events/snapshot.pb.h"
#include "services/rpc/convert.h"
#include "services/rpc/list_writer.h"
#include "services/rpc/unary.h"

namespace gantry::snapshots {
namespace {

namespace api = containerd::services::snapshots::v1;

constexpr size_t kListBatch = 100;

Scope ScopeOf(const rpc::RequestContext& context) { return Scope{context.ns, context.lease}; }

void ToProto(const std::vector<Mount>& mounts,
             google::protobuf::RepeatedPtrField<containerd::types::Mount>* out) {
  for (const Mount& mount : mounts) {
    containerd::types::Mount* added = out->Add();
    added->set_type(mount.type);
    added->set_source(mount.source);
    added->set_target(mount.target);
    for (const std::string& option : mount.options) added->add_options(option);
  }
}

void ToProto(const Info& info, api::Info* out) {
  out->set_name(info.name);
  out->set_parent(info.parent);
  out->set_kind(static_cast<api::Kind>(info.kind));
  rpc::ToProto(info.created_at, out->mutable_created_at());
  rpc::ToProto(info.updated_at, out->mutable_updated_at());
  rpc::ToProto(info.labels, out->mutable_labels());
}

}  // namespace

const ServedSnapshotter* SnapshotsService::Served(const std::string& name) const {
  const auto found = snapshotters_.find(name);
  if (found != snapshotters_.end()) return &found->second;
  if (caller_ != rpc::Caller::kDaemon || name.empty() || snapshotters_.empty()) return nullptr;
  return &snapshotters_.find(default_)->second;
}

absl::StatusOr<Snapshotter*> SnapshotsService::Find(const std::string& name) const {
  if (name.empty())
    return absl::InvalidArgumentError("snapshotter argument missing: invalid argument");
  const ServedSnapshotter* const found = Served(name);
  if (found == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("snapshotter not loaded: ", name, ": invalid argument"));
  }
  return found->snapshotter;
}

Executor& SnapshotsService::ExecutorFor(const std::string& name) const {
  const ServedSnapshotter* const found = Served(name);
  return found == nullptr || found->executor == nullptr ? executor_ : *found->executor;
}

template <typename Body>
grpc::ServerUnaryReactor* SnapshotsService::Lookup(grpc::CallbackServerContext* context,
                                                   const std::string& name,
                                                   const Body& body) const {
  const ServedSnapshotter* const found = Served(name);
  if (found != nullptr && found->executor != nullptr) {
    return rpc::Unary(context, *found->executor, body, caller_);
  }
  return rpc::UnaryLookup(context, body, caller_);
}

grpc::ServerUnaryReactor* SnapshotsService::Prepare(grpc::CallbackServerContext* context,
                                                    const api::PrepareSnapshotRequest* request,
                                                    api::PrepareSnapshotResponse* response) {
  return rpc::Unary(
      context, ExecutorFor(request->snapshotter()),
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        GANTRY_ASSIGN_OR_RETURN(
            const std::vector<Mount> mounts,
            snapshotter->Prepare(ScopeOf(rpc), request->key(), request->parent(),
                                 rpc::ToLabels(request->labels())));
        ToProto(mounts, response->mutable_mounts());
        containerd::events::SnapshotPrepare event;
        event.set_key(request->key());
        event.set_parent(request->parent());
        event.set_snapshotter(request->snapshotter());
        events_.Publish(rpc.ns, "/snapshot/prepare", event);
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerUnaryReactor* SnapshotsService::View(grpc::CallbackServerContext* context,
                                                 const api::ViewSnapshotRequest* request,
                                                 api::ViewSnapshotResponse* response) {
  return rpc::Unary(
      context, ExecutorFor(request->snapshotter()),
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        GANTRY_ASSIGN_OR_RETURN(const std::vector<Mount> mounts,
                                snapshotter->View(ScopeOf(rpc), request->key(), request->parent(),
                                                  rpc::ToLabels(request->labels())));
        ToProto(mounts, response->mutable_mounts());
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerUnaryReactor* SnapshotsService::Mounts(grpc::CallbackServerContext* context,
                                                   const api::MountsRequest* request,
                                                   api::MountsResponse* response) {
  return Lookup(context, request->snapshotter(),
                [=, this](const rpc::RequestContext& rpc) -> absl::Status {
                  GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
                  GANTRY_ASSIGN_OR_RETURN(const std::vector<Mount> mounts,
                                          snapshotter->Mounts(ScopeOf(rpc), request->key()));
                  ToProto(mounts, response->mutable_mounts());
                  return absl::OkStatus();
                });
}

grpc::ServerUnaryReactor* SnapshotsService::Commit(grpc::CallbackServerContext* context,
                                                   const api::CommitSnapshotRequest* request,
                                                   google::protobuf::Empty*) {
  return rpc::Unary(
      context, ExecutorFor(request->snapshotter()),
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        if (!request->parent().empty()) {
          return absl::UnimplementedError(absl::StrCat("commit of snapshot ", request->key(),
                                                       " onto another parent (parent \"",
                                                       request->parent(), "\") is not supported"));
        }
        GANTRY_RETURN_IF_ERROR(snapshotter->Commit(ScopeOf(rpc), request->name(), request->key(),
                                                   rpc::ToLabels(request->labels())));
        containerd::events::SnapshotCommit event;
        event.set_key(request->key());
        event.set_name(request->name());
        event.set_snapshotter(request->snapshotter());
        events_.Publish(rpc.ns, "/snapshot/commit", event);
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerUnaryReactor* SnapshotsService::Remove(grpc::CallbackServerContext* context,
                                                   const api::RemoveSnapshotRequest* request,
                                                   google::protobuf::Empty*) {
  return rpc::Unary(
      context, ExecutorFor(request->snapshotter()),
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        GANTRY_RETURN_IF_ERROR(snapshotter->Remove(ScopeOf(rpc), request->key()));
        containerd::events::SnapshotRemove event;
        event.set_key(request->key());
        event.set_snapshotter(request->snapshotter());
        events_.Publish(rpc.ns, "/snapshot/remove", event);
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerUnaryReactor* SnapshotsService::Stat(grpc::CallbackServerContext* context,
                                                 const api::StatSnapshotRequest* request,
                                                 api::StatSnapshotResponse* response) {
  return Lookup(
      context, request->snapshotter(), [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        GANTRY_ASSIGN_OR_RETURN(const Info info, snapshotter->Stat(ScopeOf(rpc), request->key()));
        ToProto(info, response->mutable_info());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* SnapshotsService::Update(grpc::CallbackServerContext* context,
                                                   const api::UpdateSnapshotRequest* request,
                                                   api::UpdateSnapshotResponse* response) {
  return rpc::Unary(
      context, ExecutorFor(request->snapshotter()),
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        Info info;
        info.name = request->info().name();
        info.labels = rpc::ToLabels(request->info().labels());
        const std::vector<std::string> paths(request->update_mask().paths().begin(),
                                             request->update_mask().paths().end());
        GANTRY_ASSIGN_OR_RETURN(const Info updated, snapshotter->Update(ScopeOf(rpc), info, paths));
        ToProto(updated, response->mutable_info());
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerWriteReactor<api::ListSnapshotsResponse>* SnapshotsService::List(
    grpc::CallbackServerContext* context, const api::ListSnapshotsRequest* request) {
  return rpc::WriteAll<api::ListSnapshotsResponse>(
      context, ExecutorFor(request->snapshotter()),
      [=, this](const rpc::RequestContext& rpc)
          -> absl::StatusOr<std::vector<api::ListSnapshotsResponse>> {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        const std::vector<std::string> filters(request->filters().begin(),
                                               request->filters().end());
        GANTRY_ASSIGN_OR_RETURN(const std::vector<Info> list,
                                snapshotter->List(ScopeOf(rpc), filters));
        std::vector<api::ListSnapshotsResponse> batches((list.size() + kListBatch - 1) /
                                                        kListBatch);
        for (size_t i = 0; i < list.size(); ++i)
          ToProto(list[i], batches[i / kListBatch].add_info());
        return batches;
      },
      caller_);
}

grpc::ServerUnaryReactor* SnapshotsService::Usage(grpc::CallbackServerContext* context,
                                                  const api::UsageRequest* request,
                                                  api::UsageResponse* response) {
  return rpc::Unary(
      context, ExecutorFor(request->snapshotter()),
      [=, this](const rpc::RequestContext& rpc) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        GANTRY_ASSIGN_OR_RETURN(const snapshots::Usage usage,
                                snapshotter->GetUsage(ScopeOf(rpc), request->key()));
        response->set_size(usage.size_bytes);
        response->set_inodes(usage.inodes);
        return absl::OkStatus();
      },
      caller_);
}

grpc::ServerUnaryReactor* SnapshotsService::Cleanup(grpc::CallbackServerContext* context,
                                                    const api::CleanupRequest* request,
                                                    google::protobuf::Empty*) {
  return rpc::Unary(
      context, ExecutorFor(request->snapshotter()),
      [=, this](const rpc::RequestContext&) -> absl::Status {
        GANTRY_ASSIGN_OR_RETURN(Snapshotter * snapshotter, Find(request->snapshotter()));
        return snapshotter->Cleanup();
      },
      caller_);
}

}  // namespace gantry::snapshots
