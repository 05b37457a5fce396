#include "services/snapshots/snapshots_client.h"

#include "absl/strings/strip.h"
#include "base/errors.h"
#include "services/rpc/convert.h"
#include "services/rpc/status.h"
#include "services/snapshots/info_filter.h"

namespace gantry::snapshots {
namespace {

namespace api = containerd::services::snapshots::v1;
using api::Snapshots;

constexpr char kReferenceLabel[] = "containerd.io/snapshot.ref";

std::string There(const Scope& scope, const std::string& key) {
  return key.empty() ? "" : absl::StrCat(scope.ns, "/", key);
}

std::string Here(const Scope& scope, absl::string_view key) {
  return std::string(absl::StripPrefix(key, absl::StrCat(scope.ns, "/")));
}

std::vector<Mount> ToMounts(
    const google::protobuf::RepeatedPtrField<containerd::types::Mount>& list) {
  std::vector<Mount> mounts;
  for (const containerd::types::Mount& mount : list) {
    mounts.push_back(Mount{mount.type(),
                           mount.source(),
                           mount.target(),
                           {mount.options().begin(), mount.options().end()}});
  }
  return mounts;
}

Info ToInfo(const Scope& scope, const api::Info& info) {
  return Info{Here(scope, info.name()),       Here(scope, info.parent()),
              static_cast<Kind>(info.kind()), rpc::ToTime(info.created_at()),
              rpc::ToTime(info.updated_at()), rpc::ToLabels(info.labels())};
}

}  // namespace

SnapshotsClient::SnapshotsClient(std::shared_ptr<grpc::Channel> channel, std::string name)
    : stub_(Snapshots::NewStub(std::move(channel))), name_(std::move(name)) {}

template <typename Request, typename Response>
absl::Status SnapshotsClient::Call(const Scope& scope, Method<Request, Response> method,
                                   Request request, Response* response) {
  request.set_snapshotter(name_);
  return Annotate(calls_.Run({scope.ns, scope.lease},
                             [&](grpc::ClientContext* context) {
                               return (stub_.get()->*method)(context, request, response);
                             }),
                  absl::StrCat("snapshotter ", name_));
}

absl::StatusOr<std::vector<Mount>> SnapshotsClient::Prepare(const Scope& scope,
                                                            const std::string& key,
                                                            const std::string& parent,
                                                            const Labels& labels) {
  api::PrepareSnapshotRequest request;
  request.set_key(There(scope, key));
  request.set_parent(There(scope, parent));
  rpc::ToProto(labels, request.mutable_labels());
  if (const auto ref = labels.find(kReferenceLabel); ref != labels.end()) {
    const absl::StatusOr<Info> target = Stat(scope, ref->second);
    if (target.ok() && target->kind == Kind::kCommitted) {
      return absl::AlreadyExistsError(
          absl::StrCat("target snapshot \"", ref->second, "\": already exists"));
    }
    if (!target.ok() && !absl::IsNotFound(target.status())) return target.status();
    request.mutable_labels()->erase(kReferenceLabel);
  }
  api::PrepareSnapshotResponse response;
  GANTRY_RETURN_IF_ERROR(Call(scope, &Snapshots::Stub::Prepare, std::move(request), &response));
  return ToMounts(response.mounts());
}

absl::StatusOr<std::vector<Mount>> SnapshotsClient::View(const Scope& scope, const std::string& key,
                                                         const std::string& parent,
                                                         const Labels& labels) {
  api::ViewSnapshotRequest request;
  request.set_key(There(scope, key));
  request.set_parent(There(scope, parent));
  rpc::ToProto(labels, request.mutable_labels());
  api::ViewSnapshotResponse response;
  GANTRY_RETURN_IF_ERROR(Call(scope, &Snapshots::Stub::View, std::move(request), &response));
  return ToMounts(response.mounts());
}

absl::StatusOr<std::vector<Mount>> SnapshotsClient::Mounts(const Scope& scope,
                                                           const std::string& key) {
  api::MountsRequest request;
  request.set_key(There(scope, key));
  api::MountsResponse response;
  GANTRY_RETURN_IF_ERROR(Call(scope, &Snapshots::Stub::Mounts, std::move(request), &response));
  return ToMounts(response.mounts());
}

absl::Status SnapshotsClient::Commit(const Scope& scope, const std::string& name,
                                     const std::string& key, const Labels& labels) {
  api::CommitSnapshotRequest request;
  request.set_name(There(scope, name));
  request.set_key(There(scope, key));
  rpc::ToProto(labels, request.mutable_labels());
  google::protobuf::Empty response;
  return Call(scope, &Snapshots::Stub::Commit, std::move(request), &response);
}

absl::Status SnapshotsClient::Remove(const Scope& scope, const std::string& key) {
  api::RemoveSnapshotRequest request;
  request.set_key(There(scope, key));
  google::protobuf::Empty response;
  return Call(scope, &Snapshots::Stub::Remove, std::move(request), &response);
}

absl::StatusOr<Info> SnapshotsClient::Stat(const Scope& scope, const std::string& key) {
  api::StatSnapshotRequest request;
  request.set_key(There(scope, key));
  api::StatSnapshotResponse response;
  GANTRY_RETURN_IF_ERROR(Call(scope, &Snapshots::Stub::Stat, std::move(request), &response));
  return ToInfo(scope, response.info());
}

absl::StatusOr<Info> SnapshotsClient::Update(const Scope& scope, const Info& info,
                                             const std::vector<std::string>& paths) {
  api::UpdateSnapshotRequest request;
  request.mutable_info()->set_name(There(scope, info.name));
  rpc::ToProto(info.labels, request.mutable_info()->mutable_labels());
  for (const std::string& path : paths) request.mutable_update_mask()->add_paths(path);
  api::UpdateSnapshotResponse response;
  GANTRY_RETURN_IF_ERROR(Call(scope, &Snapshots::Stub::Update, std::move(request), &response));
  return ToInfo(scope, response.info());
}

absl::StatusOr<std::vector<Info>> SnapshotsClient::List(const Scope& scope,
                                                        const std::vector<std::string>& filters) {
  // Matched here: filters say names as they are here.
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  api::ListSnapshotsRequest request;
  request.set_snapshotter(name_);
  const std::string prefix = absl::StrCat(scope.ns, "/");
  std::vector<Info> list;
  const absl::Status status =
      calls_.Run({scope.ns, scope.lease}, [&](grpc::ClientContext* context) {
        const auto stream = stub_->List(context, request);
        api::ListSnapshotsResponse batch;
        while (stream->Read(&batch)) {
          for (const api::Info& each : batch.info()) {
            // One that knows no namespaces lists all.
            if (each.name().compare(0, prefix.size(), prefix) != 0) continue;
            Info info = ToInfo(scope, each);
            if (set.Match(AdaptorOf(info))) list.push_back(std::move(info));
          }
        }
        return stream->Finish();
      });
  GANTRY_RETURN_IF_ERROR(Annotate(status, absl::StrCat("snapshotter ", name_)));
  std::sort(list.begin(), list.end(), [](const Info& a, const Info& b) { return a.name < b.name; });
  return list;
}

absl::StatusOr<Usage> SnapshotsClient::GetUsage(const Scope& scope, const std::string& key) {
  api::UsageRequest request;
  request.set_key(There(scope, key));
  api::UsageResponse response;
  GANTRY_RETURN_IF_ERROR(Call(scope, &Snapshots::Stub::Usage, std::move(request), &response));
  return Usage{.size_bytes = response.size(), .inodes = response.inodes()};
}

absl::Status SnapshotsClient::Cleanup() {
  google::protobuf::Empty response;
  const absl::Status status =
      Call(Scope{}, &Snapshots::Stub::Cleanup, api::CleanupRequest(), &response);
  return absl::IsUnimplemented(status) ? absl::OkStatus() : status;
}

}  // namespace gantry::snapshots
