#ifndef GANTRY_SERVICES_SNAPSHOTS_DISK_USAGE_H_
#define GANTRY_SERVICES_SNAPSHOTS_DISK_USAGE_H_

#include <string>

#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// Blocks and inodes of the tree at `path`, itself included; a file with several links counts once,
// and links are not followed. A file that goes while it is counted is left out.
absl::StatusOr<Usage> DiskUsage(const std::string& path);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_DISK_USAGE_H_
