#ifndef GANTRY_SERVICES_DIFF_MOUNTED_TREE_H_
#define GANTRY_SERVICES_DIFF_MOUNTED_TREE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::diff {

// A mount as a client hands it over ("bind" or "overlay", options as for mount(8)).
struct Mount {
  std::string type;
  std::string source;
  std::vector<std::string> options;
};

// Opens the tree that `mounts` show, without attaching anything to a mount namespace: an overlay is
// made with fsopen(2) and fsmount(2) (or detached, see legacy_overlay.h) and lives as long as the
// descriptor, so that no crash leaves a mount behind; a bind is the directory itself. Only the one
// mount that snapshotters give is taken. "uidmap" and "gidmap" are passed over: a layer has the ids
// of the image, not a container's. Errors: InvalidArgument naming the mount's type or option;
// what the kernel said in its log buffer. Needs Linux 5.2.
absl::StatusOr<UniqueFd> OpenMountedTree(const std::vector<Mount>& mounts);

// The same to read only, no mount at all being the empty tree (an invalid descriptor). An overlay's
// upper directory is taken as its topmost lower one, so that a tree in use elsewhere is not
// mounted for writing twice.
absl::StatusOr<UniqueFd> OpenMountedTreeReadOnly(const std::vector<Mount>& mounts);

// The directories that `mounts` are made of, topmost first: a bind's source; an overlay's upper
// directory (if any) and lower ones. Empty for anything else.
std::vector<std::string> LayersOf(const std::vector<Mount>& mounts);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_MOUNTED_TREE_H_
