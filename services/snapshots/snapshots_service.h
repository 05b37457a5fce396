#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_SERVICE_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_SERVICE_H_

#include <map>
#include <string>

#include "base/executor.h"
#include "proto/containerd/services/snapshots/v1/snapshots.grpc.pb.h"
#include "services/rpc/event_publisher.h"
#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// containerd.services.snapshots.v1.Snapshots over any number of snapshotters, by the name that
// requests carry ("overlayfs").
class SnapshotsService final
    : public containerd::services::snapshots::v1::Snapshots::CallbackService {
 public:
  // All outlive this.
  SnapshotsService(std::map<std::string, Snapshotter*> snapshotters, Executor& executor,
                   rpc::EventPublisher& events)
      : snapshotters_(std::move(snapshotters)), executor_(executor), events_(events) {}

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
  // Errors: InvalidArgument that names the snapshotter.
  absl::StatusOr<Snapshotter*> Find(const std::string& name) const;

  const std::map<std::string, Snapshotter*> snapshotters_;
  Executor& executor_;
  rpc::EventPublisher& events_;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_SERVICE_H_
