#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/process/child/steps.h"

namespace gantry::runtime {

int MakeDevice(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const DeviceArgs*>(step.data);
  const int directory = OpenInContainer(child.root, args.directory, Make::kDirectory, 0);
  if (directory < 0) return errno;
  int error = 0;
  if (::mknodat(directory, args.name, args.mode, args.device) != 0) {
    error = errno;
    struct stat status;
    // An image may bring the same device; anything else at that name is refused.
    if (error == EEXIST && ::fstatat(directory, args.name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        (status.st_mode & S_IFMT) == (args.mode & S_IFMT) && status.st_rdev == args.device) {
      error = 0;
    }
  }
  // mknod(2) went through the umask, and gave it to root.
  if (error == 0 &&
      ::fchownat(directory, args.name, args.uid, args.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    error = errno;
  }
  // The name was just seen to be a device, in a container where nobody runs yet.
  if (error == 0 && ::fchmodat(directory, args.name, args.mode & 07777, 0) != 0) error = errno;
  ::close(directory);
  return error;
}

int MakeLink(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const LinkArgs*>(step.data);
  const int directory = OpenInContainer(child.root, args.directory, Make::kDirectory, 0);
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
  ::close(directory);
  return error;
}

}  // namespace gantry::runtime
