#ifndef GANTRY_DAEMON_SNAPSHOTS_PART_H_
#define GANTRY_DAEMON_SNAPSHOTS_PART_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/executor.h"
#include "daemon/grpc_listener.h"
#include "daemon/parts.h"
#include "services/snapshots/native_snapshotter.h"
#include "services/snapshots/overlay_snapshotter.h"
#include "services/snapshots/shared_snapshotter.h"
#include "services/snapshots/snapshots_client.h"
#include "services/snapshots/snapshots_service.h"

namespace gantry::daemon {

// Snapshots: the snapshotters of this process and those of proxy plugins, and the service that
// tells them apart by name.
class SnapshotsPart {
 public:
  static absl::StatusOr<std::unique_ptr<SnapshotsPart>> Open(const Shared& shared);
  ~SnapshotsPart() { CancelCalls(); }

  void Name(GrpcListener::NamedServices* named);
  void AddCollectibles(std::vector<gc::Collectible*>* kinds);
  [[nodiscard]] snapshots::OverlaySnapshotter* overlayfs() const { return overlayfs_.get(); }
  // Ends what waits for another process.
  void CancelCalls();

  // Where the snapshotters keep their layers.
  static std::string OverlayRoot(const Config& config);
  static std::string NativeRoot(const Config& config);
  // Where each snapshotter of this process keeps its own, by name.
  static std::map<std::string, std::string> Roots(const Config& config) {
    return {{"overlayfs", OverlayRoot(config)}, {"native", NativeRoot(config)}};
  }

 private:
  struct Proxy {
    std::string name;
    std::unique_ptr<snapshots::SnapshotsClient> client;
    std::unique_ptr<Executor> executor;
  };

  SnapshotsPart() = default;
  void AddProxy(const ProxyPlugin& plugin);
  std::map<std::string, snapshots::ServedSnapshotter> ByName(const Shared& shared);

  std::unique_ptr<snapshots::OverlaySnapshotter> overlayfs_;
  std::unique_ptr<snapshots::NativeSnapshotter> native_;
  // The same for a daemon that calls.
  std::unique_ptr<snapshots::SharedSnapshotter> shared_overlayfs_;
  std::unique_ptr<snapshots::SharedSnapshotter> shared_native_;
  std::vector<Proxy> proxies_;
  std::unique_ptr<snapshots::SnapshotsService> service_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_SNAPSHOTS_PART_H_
