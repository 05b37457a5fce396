#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_SERVICE_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_SERVICE_H_

#include <map>
#include <string>

#include "base/executor.h"
#include "proto/containerd/services/snapshots/v1/snapshots.grpc.pb.h"
#include "services/rpc/context.h"
#include "services/rpc/event_publisher.h"
#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// One snapshotter of a SnapshotsService.
struct ServedSnapshotter {
  Snapshotter* snapshotter = nullptr;
  // What a snapshotter in another process is waited for on, so that it holds up nothing else; null
  // for one of this process.
  Executor* executor = nullptr;
};

// containerd.services.snapshots.v1.Snapshots over any number of snapshotters, by the name that
// requests carry ("overlayfs").
class SnapshotsService final
    : public containerd::services::snapshots::v1::Snapshots::CallbackService {
 public:
  // All outlive this. A daemon that calls knows a snapshotter by a name of its own: what is unknown
  // here is `default_name` then, one of `snapshotters`.
  SnapshotsService(std::map<std::string, ServedSnapshotter> snapshotters, Executor& executor,
                   rpc::EventPublisher& events, rpc::Caller caller = rpc::Caller::kClient,
                   std::string default_name = "overlayfs")
      : snapshotters_(std::move(snapshotters)),
        executor_(executor),
        events_(events),
        caller_(caller),
        default_(std::move(default_name)) {}

  grpc::ServerUnaryReactor* Prepare(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::PrepareSnapshotRequest* request,
      containerd::services::snapshots::v1::PrepareSnapshotResponse* response) override;
  grpc::ServerUnaryReactor* View(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::ViewSnapshotRequest* request,
      containerd::services::snapshots::v1::ViewSnapshotResponse* response) override;
  grpc::ServerUnaryReactor* Mounts(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::MountsRequest* request,
      containerd::services::snapshots::v1::MountsResponse* response) override;
  grpc::ServerUnaryReactor* Commit(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::CommitSnapshotRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Remove(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::RemoveSnapshotRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Stat(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::StatSnapshotRequest* request,
      containerd::services::snapshots::v1::StatSnapshotResponse* response) override;
  grpc::ServerUnaryReactor* Update(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::UpdateSnapshotRequest* request,
      containerd::services::snapshots::v1::UpdateSnapshotResponse* response) override;
  grpc::ServerWriteReactor<containerd::services::snapshots::v1::ListSnapshotsResponse>* List(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::ListSnapshotsRequest* request) override;
  grpc::ServerUnaryReactor* Usage(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::UsageRequest* request,
      containerd::services::snapshots::v1::UsageResponse* response) override;
  grpc::ServerUnaryReactor* Cleanup(
      grpc::CallbackServerContext* context,
      const containerd::services::snapshots::v1::CleanupRequest* request,
      google::protobuf::Empty* response) override;

 private:
  // Null if there is no such snapshotter.
  const ServedSnapshotter* Served(const std::string& name) const;
  // Errors: InvalidArgument that names the snapshotter.
  absl::StatusOr<Snapshotter*> Find(const std::string& name) const;
  Executor& ExecutorFor(const std::string& name) const;
  // For a call that is the lookup of a record, where the snapshotter is in this process.
  template <typename Body>
  grpc::ServerUnaryReactor* Lookup(grpc::CallbackServerContext* context, const std::string& name,
                                   const Body& body) const;

  const std::map<std::string, ServedSnapshotter> snapshotters_;
  Executor& executor_;
  rpc::EventPublisher& events_;
  const rpc::Caller caller_;
  const std::string default_;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_SERVICE_H_
