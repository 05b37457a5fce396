#ifndef GANTRY_DAEMON_SNAPSHOTS_PART_H_
#define GANTRY_DAEMON_SNAPSHOTS_PART_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/grpc_listener.h"
#include "daemon/parts.h"
#include "services/snapshots/overlay_snapshotter.h"
#include "services/snapshots/snapshots_service.h"

namespace gantry::daemon {

// Snapshots: the snapshotters, and the service that tells them apart by name.
class SnapshotsPart {
 public:
  static absl::StatusOr<std::unique_ptr<SnapshotsPart>> Open(const Shared& shared);

  void Name(GrpcListener::NamedServices* named);
  void AddCollectibles(std::vector<gc::Collectible*>* kinds);

  // Where the overlayfs snapshotter keeps its layers.
  static std::string OverlayRoot(const Config& config);

 private:
  SnapshotsPart(const Shared& shared, std::unique_ptr<snapshots::OverlaySnapshotter> overlayfs);

  std::unique_ptr<snapshots::OverlaySnapshotter> overlayfs_;
  snapshots::SnapshotsService service_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_SNAPSHOTS_PART_H_
