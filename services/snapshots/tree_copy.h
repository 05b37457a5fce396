#ifndef GANTRY_SERVICES_SNAPSHOTS_TREE_COPY_H_
#define GANTRY_SERVICES_SNAPSHOTS_TREE_COPY_H_

#include <string>

#include "absl/status/status.h"

namespace gantry::snapshots {

// Copies what is in the directory `from`, and its own attributes, into the empty directory `to` of
// the same file system: owners, modes, times, extended attributes, hard links, holes, devices.
// Blocks are shared where the file system can (FICLONE), else copied inside the kernel. Links are
// not followed and mounts not entered. Runs as root. Errors name the path; what was copied stays.
absl::Status CopyTree(const std::string& from, const std::string& to);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_TREE_COPY_H_
