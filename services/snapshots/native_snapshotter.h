#ifndef GANTRY_SERVICES_SNAPSHOTS_NATIVE_SNAPSHOTTER_H_
#define GANTRY_SERVICES_SNAPSHOTS_NATIVE_SNAPSHOTTER_H_

#include <memory>
#include <string>
#include <vector>

#include "services/snapshots/directory_snapshotter.h"

namespace gantry::snapshots {

// Snapshots as whole trees, for file systems that overlayfs cannot lie on: <root>/<id>/fs is a copy
// of the parent's, sharing its blocks where the file system can. A view of a snapshot is the
// snapshot itself, read-only.
class NativeSnapshotter final : public DirectorySnapshotter {
 public:
  // `root` is made if missing; one snapshotter per root. `store` outlives this.
  static absl::StatusOr<std::unique_ptr<NativeSnapshotter>> Open(const std::string& root,
                                                                 metadata::Store& store);

 private:
  NativeSnapshotter(const std::string& root, metadata::Store& store);

  absl::Status Fill(const Placed& snapshot) override;
  [[nodiscard]] absl::StatusOr<std::vector<Mount>> MountsOf(const Placed& snapshot) const override;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_NATIVE_SNAPSHOTTER_H_
