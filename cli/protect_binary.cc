#include "cli/protect_binary.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/unique_fd.h"

extern char** environ;

namespace gantry::cli {
namespace {

constexpr char kSelf[] = "/proc/self/exe";
constexpr int kAllSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

bool IsOutOfReach(const UniqueFd& self) {
  struct statvfs fs {};
  if (::fstatvfs(self.get(), &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0) return true;
  const int seals = ::fcntl(self.get(), F_GET_SEALS);
  if (seals >= 0 && (seals & kAllSeals) == kAllSeals) return true;
  // Somebody else's file, and no power over it: the container has no more than its maker.
  return ::faccessat(AT_FDCWD, kSelf, W_OK, AT_EACCESS) != 0 && errno == EACCES;
}

// Empty if this process may not mount.
UniqueFd ReadOnlyMount() {
  UniqueFd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, kSelf, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (!tree.valid() || ::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes,
                                 sizeof attributes) != 0) {
    return UniqueFd();
  }
  return tree;
}

absl::StatusOr<UniqueFd> SealedCopy(const UniqueFd& self) {
  UniqueFd copy(::memfd_create("gantry-oci", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy.valid()) return ErrnoError(errno, "make a memory file of this program");
  struct stat status {};
  if (::fstat(self.get(), &status) != 0) return ErrnoError(errno, "stat this program");
  for (off_t done = 0; done < status.st_size;) {
    const ssize_t sent =
        ::sendfile(copy.get(), self.get(), &done, static_cast<size_t>(status.st_size - done));
    if (sent <= 0 && errno != EINTR) return ErrnoError(errno, "copy this program into memory");
  }
  if (::fcntl(copy.get(), F_ADD_SEALS, kAllSeals) != 0) {
    return ErrnoError(errno, "seal the copy of this program");
  }
  return copy;
}

}  // namespace

absl::Status ProtectBinary(char** argv) {
  const UniqueFd self(::open(kSelf, O_RDONLY | O_CLOEXEC));
  if (!self.valid()) return ErrnoError(errno, absl::StrCat("open ", kSelf));
  if (IsOutOfReach(self)) return absl::OkStatus();
  UniqueFd safe = ReadOnlyMount();
  if (!safe.valid()) {
    GANTRY_ASSIGN_OR_RETURN(safe, SealedCopy(self));
  }
  ::execveat(safe.get(), "", argv, environ, AT_EMPTY_PATH);
  return ErrnoError(errno, "execute this program again from where it cannot be written");
}

}  // namespace gantry::cli
