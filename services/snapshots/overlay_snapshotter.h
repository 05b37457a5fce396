#ifndef GANTRY_SERVICES_SNAPSHOTS_OVERLAY_SNAPSHOTTER_H_
#define GANTRY_SERVICES_SNAPSHOTS_OVERLAY_SNAPSHOTTER_H_

#include <memory>
#include <string>
#include <vector>

#include "services/snapshots/directory_snapshotter.h"
#include "services/snapshots/overlay_options.h"

namespace gantry::snapshots {

// Snapshots as overlayfs layers: <root>/<id>/fs holds what a snapshot adds to its parents,
// <root>/<id>/work is the kernel's.
// Source: Linux Documentation/filesystems/overlayfs.rst; containerd docs/snapshotters/overlayfs.md.
class OverlaySnapshotter final : public DirectorySnapshotter {
 public:
  // `root` is made if missing; one snapshotter per root (the daemon's lock sees to that). `store`
  // outlives this. Errors: FailedPrecondition if the kernel has no overlayfs or refuses
  // `options.mount_options` (with its words); InvalidArgument for options that are gantry's to set.
  static absl::StatusOr<std::unique_ptr<OverlaySnapshotter>> Open(
      const std::string& root, metadata::Store& store, const OverlayOptions& options = {});

  // What clients ask for by the introspection service, in containerd's words: "remap-ids" if ids
  // are mapped by snapshots' labels, "only-remap-ids" unless clients may change owners instead
  // (slow_chown).
  [[nodiscard]] std::vector<std::string> Capabilities() const;

  // What is added to the options of the mount of `key` when a container's root is made of it, so
  // that the image's ids are the container's: uidmap and gidmap, as containerd 2 has them. None if
  // it has no labels for that, or its parents have had their owners changed. Errors: NotFound.
  absl::StatusOr<std::vector<std::string>> IdMapOf(const Scope& scope, const std::string& key);

 private:
  OverlaySnapshotter(const std::string& root, metadata::Store& store,
                     const OverlayOptions& options);

  absl::Status Fill(const Placed& snapshot) override;
  [[nodiscard]] absl::StatusOr<std::vector<Mount>> MountsOf(const Placed& snapshot) const override;
  void Describe(uint64_t id, Info* info) const override;
  [[nodiscard]] std::vector<std::string> IdMapOf(const Placed& snapshot) const;

  const OverlayOptions options_;
  bool maps_ids_ = false;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_OVERLAY_SNAPSHOTTER_H_
