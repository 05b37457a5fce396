#ifndef GANTRY_RUNTIME_ROOTFS_MAPPED_MOUNT_H_
#define GANTRY_RUNTIME_ROOTFS_MAPPED_MOUNT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/process/child/steps.h"

namespace gantry::runtime {

// Takes "uidmap=" and "gidmap=" (CONTAINER:HOST:SIZE,...; what is the container's on the disk is to
// be seen as the host's) out of a mount's options, and makes the user namespace that they mean. An
// invalid descriptor if there are none. Errors: InvalidArgument if there is one of the two, or for
// what is no mapping. Source: containerd 2, core/mount.
absl::StatusOr<UniqueFd> TakeIdMap(std::vector<std::string>* options);

// The detached tree of an overlay whose lower directories (the values of "lowerdir+" in
// `args.options`) are mapped by `id_map`: what is in the upper directory has the host's ids on the
// disk already. Takes a short-lived child with a mount namespace of its own, so that nothing is
// seen of it on the host. `words` takes the kernel's. Gives -errno if it cannot be.
absl::StatusOr<int> MakeMappedOverlay(const MountArgs& args, const UniqueFd& id_map, Child* words);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_ROOTFS_MAPPED_MOUNT_H_
