#ifndef GANTRY_RUNTIME_ROOTFS_MOUNT_OPTIONS_H_
#define GANTRY_RUNTIME_ROOTFS_MOUNT_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace gantry::runtime {

// The options of one mount, sorted by who takes them. Words as in the runtime-spec's config.md,
// "Linux mount options", and mount(8).
struct MountOptions {
  bool bind = false;
  bool recursive = false;
  uint64_t attr_set = 0;  // MOUNT_ATTR_*
  uint64_t attr_clear = 0;
  uint64_t recursive_set = 0;  // "rro" and the like: also for the mounts below
  uint64_t recursive_clear = 0;
  uint64_t propagation = 0;  // MS_SHARED and so on without MS_REC; 0: not said
  bool propagation_recursive = false;
  bool copy_up = false;          // "tmpcopyup": what the image has there is copied in
  bool id_mapped = false;        // "idmap", "ridmap"
  bool id_mapped_below = false;  // "ridmap"
  // Flags of a new file system; of a bind they mean nothing, since it has one already.
  std::vector<std::string> superblock;
  std::vector<std::string> data;  // for the file system
};

MountOptions ParseMountOptions(const std::vector<std::string>& options);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_ROOTFS_MOUNT_OPTIONS_H_
