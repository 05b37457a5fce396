#include "daemon/snapshots_part.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace gantry::daemon {

std::string SnapshotsPart::OverlayRoot(const Config& config) {
  return config.overlayfs_root.empty() ? absl::StrCat(config.root, "/snapshots")
                                       : config.overlayfs_root;
}

absl::StatusOr<std::unique_ptr<SnapshotsPart>> SnapshotsPart::Open(const Shared& shared) {
  GANTRY_ASSIGN_OR_RETURN(
      std::unique_ptr<snapshots::OverlaySnapshotter> overlayfs,
      snapshots::OverlaySnapshotter::Open(OverlayRoot(shared.config), shared.store));
  return std::unique_ptr<SnapshotsPart>(new SnapshotsPart(shared, std::move(overlayfs)));
}

SnapshotsPart::SnapshotsPart(const Shared& shared,
                             std::unique_ptr<snapshots::OverlaySnapshotter> overlayfs)
    : overlayfs_(std::move(overlayfs)),
      service_({{"overlayfs", overlayfs_.get()}}, shared.disk, shared.publisher) {}

void SnapshotsPart::Name(GrpcListener::NamedServices* named) {
  named->emplace_back(containerd::services::snapshots::v1::Snapshots::service_full_name(),
                      &service_);
}

void SnapshotsPart::AddCollectibles(std::vector<gc::Collectible*>* kinds) {
  kinds->push_back(&overlayfs_->collectible());
}

}  // namespace gantry::daemon
