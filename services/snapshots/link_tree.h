#ifndef GANTRY_SERVICES_SNAPSHOTS_LINK_TREE_H_
#define GANTRY_SERVICES_SNAPSHOTS_LINK_TREE_H_

#include <string>

#include "absl/status/status.h"

namespace gantry::snapshots {

// Makes the tree `to` (absent; its parent exists) of the directory `from`: directories are made
// with the owner, mode, times and extended attributes of theirs, everything else is a hard link.
// Follows no symbolic link. What an error leaves half done stays.
//
// Errors: NotFound if something goes away meanwhile; InvalidArgument (EXDEV) on another file
// system.
absl::Status LinkTree(const std::string& from, const std::string& to);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_LINK_TREE_H_
