#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "runtime/process/child/steps.h"

// Mounts are made detached with the mount API of Linux 5.2 (mount_setattr: 5.12) and attached
// through descriptors: between the check of a target and the mount there is no path to swap.

namespace gantry::runtime {
namespace {

constexpr unsigned kOntoFd = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;

// Closes on leaving; errno survives.
class Fd {
 public:
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() {
    if (fd_ < 0) return;
    const int saved = errno;
    ::close(fd_);
    errno = saved;
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

int SetAttributes(int fd, uint64_t set, uint64_t clear, uint64_t propagation,
                  bool recursive) noexcept {
  if (set == 0 && clear == 0 && propagation == 0) return 0;
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  attributes.propagation = propagation;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0);
  return ::syscall(SYS_mount_setattr, fd, "", flags, &attributes, sizeof attributes) == 0 ? 0
                                                                                          : errno;
}

// The kernel says more than a number, one message a read: "e overlay: Unknown parameter 'x'".
void KernelWords(Child& child, int context) noexcept {
  char text[kDetailSize];
  const ssize_t size = ::read(context, text, sizeof text - 1);
  if (size <= 0) return;
  text[size] = '\0';
  if (size > 2 && text[1] == ' ') {
    SetDetail(child, text + 2);
  } else {
    SetDetail(child, text);
  }
}

// Gives -1 with errno; ENOPROTOOPT means that this kernel takes layers only by mount(2).
int MakeFileSystem(Child& child, const MountArgs& args) noexcept {
  const Fd context(static_cast<int>(::syscall(SYS_fsopen, args.type, 1 /* FSOPEN_CLOEXEC */)));
  if (!context.valid()) {
    if (errno == ENODEV) SetDetail(child, "this kernel has no such file system");
    return -1;
  }
  for (size_t i = 0; i < args.option_count; ++i) {
    const FsOption& option = args.options[i];
    const unsigned command = option.value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
    if (::syscall(SYS_fsconfig, context.get(), command, option.key, option.value, 0) == 0) continue;
    const int error = errno;
    if (args.legacy_data != nullptr && ::strcmp(option.key, "lowerdir+") == 0 && error == EINVAL) {
      errno = ENOPROTOOPT;
      return -1;
    }
    SetDetail(child, option.key);
    KernelWords(child, context.get());
    errno = error;
    return -1;
  }
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    const int error = errno;
    KernelWords(child, context.get());
    // Before 6.5 overlay looked at its options only now.
    errno = args.legacy_data != nullptr && error == EINVAL ? ENOPROTOOPT : error;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_fsmount, context.get(), 1 /* FSMOUNT_CLOEXEC */,
                                    static_cast<unsigned>(args.attr_set)));
}

int CloneTree(const char* source, bool recursive) noexcept {
  const unsigned flags = OPEN_TREE_CLONE | O_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
  return static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, source, flags));
}

bool IsDirectory(int fd) noexcept {
  struct stat status;
  return ::fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

// A tmpfs is made to look like the directory it covers.
int TakeAfter(int target, int tree, const MountArgs& args) noexcept {
  struct stat status;
  if (::fstat(target, &status) != 0) return errno;
  if (args.copy_up) {
    const Fd from(::openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const Fd to(::openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!from.valid() || !to.valid()) return errno;
    if (const int error = CopyDirectory(from.get(), to.get()); error != 0) return error;
  }
  if (!args.keep_mode) return 0;
  return ::fchmodat(tree, ".", status.st_mode & 07777, 0) == 0 ? 0 : errno;
}

}  // namespace

int MountLegacyOverlay(const MountArgs& args) noexcept {
  if (::chdir(args.legacy_dir) != 0) return errno;
  int error = 0;
  if (::mount("overlay", args.target, args.type, 0, args.legacy_data) != 0) error = errno;
  if (::chdir("/") != 0 && error == 0) error = errno;
  return error;
}

int SetPropagation(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const PropagationArgs*>(step.data);
  if (args.target == nullptr) {
    const unsigned long flags = args.propagation | (args.recursive ? MS_REC : 0);
    return ::mount(nullptr, "/", nullptr, flags, nullptr) == 0 ? 0 : errno;
  }
  const Fd target(OpenInContainer(child.root, args.target, Make::kNothing, 0));
  if (!target.valid()) return errno;
  return SetAttributes(target.get(), 0, 0, args.propagation, args.recursive);
}

int OpenTree(Child& child, const MountArgs& args) noexcept {
  const bool bind = args.type == nullptr;
  const int tree = bind ? CloneTree(args.source, args.recursive) : MakeFileSystem(child, args);
  if (tree < 0) {
    const int error = errno;
    if (bind && child.report.detail[0] == '\0') SetDetail(child, args.source);
    return -error;
  }
  int error = 0;
  if (bind) error = SetAttributes(tree, args.attr_set, args.attr_clear, 0, false);
  if (error == 0) error = SetAttributes(tree, args.recursive_set, args.recursive_clear, 0, true);
  // A clone of a shared mount is its peer; what the container mounts below it must not come back.
  if (error == 0) error = SetAttributes(tree, 0, 0, args.propagation, args.propagation_recursive);
  if (error == 0) return tree;
  ::close(tree);
  return -error;
}

int MountOne(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const MountArgs*>(step.data);
  // It may cover the directory.
  if (child.made_in >= 0) ::close(child.made_in);
  child.made_in = -1;
  const int made = args.tree >= 0 ? args.tree : OpenTree(child, args);
  if (made == -ENOPROTOOPT && args.legacy_data != nullptr) return MountLegacyOverlay(args);
  if (made < 0) return -made;
  const Fd tree(made);
  if (args.on_host) {
    return ::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, args.target,
                     MOVE_MOUNT_F_EMPTY_PATH) == 0
               ? 0
               : errno;
  }
  const Make make = IsDirectory(tree.get()) ? Make::kDirectory : Make::kFile;
  const Fd target(OpenInContainer(child.root, args.target, make,
                                  args.ordinary_target ? RESOLVE_NO_SYMLINKS : 0));
  if (!target.valid()) {
    if (errno == ELOOP && args.ordinary_target) SetDetail(child, "the target is a symbolic link");
    return errno;
  }
  if (args.keep_mode || args.copy_up) {
    if (const int error = TakeAfter(target.get(), tree.get(), args); error != 0) return error;
  }
  return ::syscall(SYS_move_mount, tree.get(), "", target.get(), "", kOntoFd) == 0 ? 0 : errno;
}

int MakeParentPrivate(Child&, const Step& step) noexcept {
  const char* path = static_cast<const PathArgs*>(step.data)->path;
  int fd = ::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  // Only the root of a mount has attributes: upward until one does.
  for (int depth = 0; fd >= 0 && depth < PATH_MAX / 2; ++depth) {
    const int error = SetAttributes(fd, 0, 0, MS_PRIVATE, false);
    if (error != EINVAL) {
      ::close(fd);
      return error;
    }
    const Fd below(fd);
    fd = ::openat(below.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
  }
  return fd < 0 ? errno : ELOOP;
}

int BindRootOnItself(Child&, const Step& step) noexcept {
  const char* path = static_cast<const PathArgs*>(step.data)->path;
  const Fd tree(CloneTree(path, true));
  if (!tree.valid()) return errno;
  return ::syscall(SYS_move_mount, tree.get(), "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) == 0
             ? 0
             : errno;
}

int OpenRoot(Child& child, const Step& step) noexcept {
  const char* path = static_cast<const PathArgs*>(step.data)->path;
  child.root = ::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  return child.root < 0 ? errno : 0;
}

int MaskPath(Child& child, const Step& step) noexcept {
  const char* path = static_cast<const PathArgs*>(step.data)->path;
  const Fd target(OpenInContainer(child.root, path, Make::kNothing, 0));
  if (!target.valid()) return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
  if (!IsDirectory(target.get())) {
    // The host's device, not whatever the image has at /dev/null (CVE-2025-31133).
    const Fd tree(CloneTree("/dev/null", false));
    if (!tree.valid()) return errno;
    struct stat status;
    if (::fstat(tree.get(), &status) != 0) return errno;
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3)) return ENODEV;
    return ::syscall(SYS_move_mount, tree.get(), "", target.get(), "", kOntoFd) == 0 ? 0 : errno;
  }
  if (child.masked_dir < 0) {
    const FsOption options[] = {{"source", "tmpfs"}, {"nr_blocks", "1"}, {"ro", nullptr}};
    MountArgs args{};
    args.type = "tmpfs";
    args.options = options;
    args.option_count = 3;
    args.attr_set = MOUNT_ATTR_RDONLY;
    const int empty = MakeFileSystem(child, args);
    if (empty < 0) return errno;
    if (::syscall(SYS_move_mount, empty, "", target.get(), "", kOntoFd) != 0) return errno;
    child.masked_dir = empty;
    return 0;
  }
  // One empty tmpfs serves all: clones cost no superblock each.
  const Fd tree(static_cast<int>(
      ::syscall(SYS_open_tree, child.masked_dir, "", OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH)));
  if (!tree.valid()) return errno;
  return ::syscall(SYS_move_mount, tree.get(), "", target.get(), "", kOntoFd) == 0 ? 0 : errno;
}

int ReadonlyPath(Child& child, const Step& step) noexcept {
  const char* path = static_cast<const PathArgs*>(step.data)->path;
  const Fd target(OpenInContainer(child.root, path, Make::kNothing, 0));
  if (!target.valid()) return errno == ENOENT || errno == ENOTDIR ? 0 : errno;
  const Fd tree(
      static_cast<int>(::syscall(SYS_open_tree, target.get(), "",
                                 OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE)));
  if (!tree.valid()) return errno;
  const int error = SetAttributes(tree.get(), MOUNT_ATTR_RDONLY, 0, 0, true);
  if (error != 0) return error;
  return ::syscall(SYS_move_mount, tree.get(), "", target.get(), "", kOntoFd) == 0 ? 0 : errno;
}

int ReadonlyRoot(Child& child, const Step&) noexcept {
  return SetAttributes(child.root, MOUNT_ATTR_RDONLY, 0, 0, false);
}

int ReadonlyMount(Child& child, const Step& step) noexcept {
  const char* path = static_cast<const PathArgs*>(step.data)->path;
  const Fd target(OpenInContainer(child.root, path, Make::kNothing, 0));
  if (!target.valid()) return errno;
  return SetAttributes(target.get(), MOUNT_ATTR_RDONLY, 0, 0, false);
}

int PivotRoot(Child& child, const Step&) noexcept {
  const Fd old_root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!old_root.valid()) return errno;
  if (::fchdir(child.root) != 0) return errno;
  // The old root lands on top of the new one, so that no directory is needed to put it in.
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  if (::fchdir(old_root.get()) != 0) return errno;
  // Else taking it off would take the host's mounts off with it, where they are shared.
  if (::mount(nullptr, ".", nullptr, MS_SLAVE | MS_REC, nullptr) != 0) return errno;
  if (::umount2(".", MNT_DETACH) != 0) return errno;
  return ::chdir("/") == 0 ? 0 : errno;
}

int MoveRoot(Child& child, const Step&) noexcept {
  if (::fchdir(child.root) != 0) return errno;
  if (::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0) return errno;
  if (::chroot(".") != 0) return errno;
  return ::chdir("/") == 0 ? 0 : errno;
}

}  // namespace gantry::runtime
