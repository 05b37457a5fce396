#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/process/child/steps.h"

namespace gantry::runtime {

namespace {

// An O_PATH descriptor of the device at `name`, or -1 with errno. Anything else at that name is
// refused.
int OpenDevice(int directory, const DeviceArgs& args, struct stat* status) noexcept {
  const int fd = ::openat(directory, args.name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  if (::fstat(fd, status) == 0 && (status->st_mode & S_IFMT) == (args.mode & S_IFMT) &&
      ((args.mode & S_IFMT) == S_IFIFO || status->st_rdev == args.device)) {
    return fd;
  }
  ::close(fd);
  errno = EEXIST;
  return -1;
}

// Of what the descriptor is, not of what has its name by now: another container may share the
// directory (CVE-2021-30465). mknod(2) gave it to root, and the image may have brought it. Most are
// right as they were made.
int SetOwnerAndMode(const Child& child, int device, const DeviceArgs& args,
                    const struct stat& now) noexcept {
  const bool owned = now.st_uid == args.uid && now.st_gid == args.gid;
  if (!owned && ::fchownat(device, "", args.uid, args.gid, AT_EMPTY_PATH) != 0) return errno;
  if (owned && (now.st_mode & 07777) == (args.mode & 07777)) return 0;
  char path[32];
  WriteFdPath(device, path);
  return ::fchmodat(child.proc, path, args.mode & 07777, 0) == 0 ? 0 : errno;
}

// Where mknod(2) is not allowed, in a user namespace, the host's device shows through.
int BindDevice(int directory, const DeviceArgs& args) noexcept {
  const int source = ::openat(AT_FDCWD, args.host_path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (source < 0) return errno;
  struct stat status;
  int error = ::fstat(source, &status) != 0 ? errno : 0;
  if (error == 0 &&
      ((status.st_mode & S_IFMT) != (args.mode & S_IFMT) || status.st_rdev != args.device)) {
    error = ENODEV;
  }
  const int tree = error != 0
                       ? -1
                       : static_cast<int>(::syscall(SYS_open_tree, source, "",
                                                    OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH));
  if (error == 0 && tree < 0) error = errno;
  ::close(source);
  if (error != 0) return error;
  const int target = OpenInContainer(directory, args.name, Make::kFile, RESOLVE_NO_SYMLINKS);
  if (target < 0 || ::syscall(SYS_move_mount, tree, "", target, "",
                              MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    error = errno;
  }
  ::close(tree);
  if (target >= 0) ::close(target);
  return error;
}

int MakeDeviceIn(Child& child, int directory, const DeviceArgs& args) noexcept {
  if (::mknodat(directory, args.name, args.mode, args.device) != 0 && errno != EEXIST) {
    return errno == EPERM && !S_ISFIFO(args.mode) ? BindDevice(directory, args) : errno;
  }
  struct stat status;
  const int device = OpenDevice(directory, args, &status);
  if (device < 0) return errno;
  const int error = SetOwnerAndMode(child, device, args, status);
  ::close(device);
  return error;
}

// The directory `path` in the root, or -1 with errno. Kept until another is asked for: most devices
// and links are in /dev.
int DirectoryOf(Child& child, const char* path) noexcept {
  if (child.made_in >= 0) {
    if (::strcmp(child.made_in_path, path) == 0) return child.made_in;
    ::close(child.made_in);
  }
  child.made_in = OpenInContainer(child.root, path, Make::kDirectory, 0);
  child.made_in_path = path;
  return child.made_in;
}

}  // namespace

int MakeDevice(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const DeviceArgs*>(step.data);
  const int directory = DirectoryOf(child, args.directory);
  return directory < 0 ? errno : MakeDeviceIn(child, directory, args);
}

int MakeLink(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const LinkArgs*>(step.data);
  const int directory = DirectoryOf(child, args.directory);
  if (directory < 0) return errno;
  int error = 0;
  if (::symlinkat(args.target, directory, args.name) != 0) error = errno;
  if (error == EEXIST && !args.replace) error = 0;
  if (error == EEXIST) {
    error = 0;
    if (::unlinkat(directory, args.name, 0) != 0 ||
        ::symlinkat(args.target, directory, args.name) != 0) {
      error = errno;
    }
  }
  return error;
}

}  // namespace gantry::runtime
