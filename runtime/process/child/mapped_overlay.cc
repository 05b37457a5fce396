#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/process/child/steps.h"

namespace gantry::runtime {
namespace {

// Covers the directory with a clone of itself whose ids are mapped. What it leaves open ends with
// the process's descriptors or is closed here.
int CoverWithMapped(Child& child, const char* layer, int id_map) noexcept {
  const int tree =
      static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, layer, OPEN_TREE_CLONE | O_CLOEXEC));
  if (tree < 0) {
    SetDetail(child, layer);
    return errno;
  }
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(id_map);
  int error = 0;
  if (::syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) {
    error = errno;
    SetDetail(child, "map the ids of a layer");
  } else if (::syscall(SYS_move_mount, tree, "", AT_FDCWD, layer, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    error = errno;
    SetDetail(child, layer);
  }
  ::close(tree);
  return error;
}

}  // namespace

int OpenMappedOverlay(Child& child, const MountArgs& args, const char* const* layers, size_t count,
                      int id_map) noexcept {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return -errno;
  for (size_t i = 0; i < count; ++i) {
    if (const int error = CoverWithMapped(child, layers[i], id_map); error != 0) return -error;
  }
  const int tree = OpenTree(child, args);
  if (tree != -ENOPROTOOPT || args.legacy_data == nullptr) return tree;
  // Over the layers themselves, whom nobody looks up here any more.
  MountArgs legacy = args;
  legacy.target = args.legacy_dir;
  if (const int error = MountLegacyOverlay(legacy); error != 0) return -error;
  const int made = static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, args.legacy_dir, OPEN_TREE_CLONE | O_CLOEXEC));
  return made < 0 ? -errno : made;
}

}  // namespace gantry::runtime
