#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_BACKUP_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_BACKUP_H_

#include <string>

#include "absl/status/statusor.h"
#include "services/metadata/store.h"

namespace gantry::snapshots {

struct BackedUpSnapshots {
  size_t kept = 0;
  size_t dropped = 0;
};

// Puts the committed snapshots of the snapshotter `name`, whose directories lie in `root` and may
// be in use, into `destination`: their directories are made anew, the files in them are hard links,
// since a committed layer never changes. `records` are those of the backup; it loses those of
// snapshots that are not kept: active ones and views, which change while they are read, and all if
// `destination` is on another file system. Images of those are unpacked again where they are used.
//
// Errors: Unavailable if a snapshot was removed meanwhile: take newer records and try again.
absl::StatusOr<BackedUpSnapshots> BackUpSnapshots(const std::string& root,
                                                  const std::string& destination,
                                                  const std::string& name,
                                                  metadata::Store& records);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_BACKUP_H_
