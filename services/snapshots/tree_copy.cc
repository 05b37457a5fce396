#include "services/snapshots/tree_copy.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <map>

#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/path.h"

namespace gantry::snapshots {
namespace {

// Each level holds two descriptors.
constexpr size_t kMostLevels = 1024;

class Copier {
 public:
  // `root` is the copy's, through which links between its directories are made.
  Copier(dev_t device, int root) : device_(device), root_(root) {}

  absl::Status Directory(int from, int to, const std::string& shown, size_t level) {
    if (level > kMostLevels) {
      return absl::InvalidArgumentError(absl::StrCat(
          shown.substr(0, 200), "...: directories are nested more than ", kMostLevels, " deep"));
    }
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(FdPath(from)));
    for (const std::string& name : names) {
      const std::string below = JoinPath(shown, name);
      const absl::Status copied = Entry(from, to, name, below, level);
      if (!copied.ok()) return reported_ ? copied : Report(copied, below);
    }
    return absl::OkStatus();
  }

  // What a directory is told last, since what is made in it changes it.
  static absl::Status Attributes(const std::string& from, const std::string& to,
                                 const struct stat& st) {
    const bool is_link = S_ISLNK(st.st_mode);
    if (::lchown(to.c_str(), st.st_uid, st.st_gid) != 0) return ErrnoError(errno, "set the owner");
    if (!is_link && ::chmod(to.c_str(), st.st_mode & 07777) != 0) {
      return ErrnoError(errno, "set the mode");
    }
    GANTRY_RETURN_IF_ERROR(Xattrs(from, to));
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (::utimensat(AT_FDCWD, to.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError(errno, "set the times");
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Report(const absl::Status& status, const std::string& shown) {
    reported_ = true;
    return Annotate(status, shown);
  }

  absl::Status Entry(int from, int to, const std::string& name, const std::string& shown,
                     size_t level) {
    GANTRY_RETURN_IF_ERROR(FaultPoint("snapshots.copy.entry"));
    struct stat st {};
    if (::fstatat(from, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return ErrnoError(errno, "stat");
    }
    if (st.st_dev != device_) return absl::FailedPreconditionError("something is mounted there");
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
      const auto [first, is_new] = links_.try_emplace(st.st_ino, JoinPath(FdPath(root_), shown));
      if (!is_new) {
        if (::linkat(AT_FDCWD, first->second.c_str(), to, name.c_str(), 0) == 0) {
          return absl::OkStatus();
        }
        return ErrnoError(errno, absl::StrCat("link to ", first->second));
      }
    }
    const std::string source = JoinPath(FdPath(from), name);
    const std::string target = JoinPath(FdPath(to), name);
    switch (st.st_mode & S_IFMT) {
      case S_IFDIR:
        GANTRY_RETURN_IF_ERROR(Subdirectory(from, to, name, shown, level));
        break;
      case S_IFREG:
        GANTRY_RETURN_IF_ERROR(File(from, to, name, st.st_size));
        break;
      case S_IFLNK:
        GANTRY_RETURN_IF_ERROR(Symlink(from, to, name));
        break;
      default:
        if (::mknodat(to, name.c_str(), st.st_mode & (S_IFMT | 0600), st.st_rdev) != 0) {
          return ErrnoError(errno, "create the node");
        }
    }
    return Attributes(source, target, st);
  }

  absl::Status Subdirectory(int from, int to, const std::string& name, const std::string& shown,
                            size_t level) {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd source, OpenFileAt(from, name, kFlags));
    if (::mkdirat(to, name.c_str(), 0700) != 0) return ErrnoError(errno, "create the directory");
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd target, OpenFileAt(to, name, kFlags));
    return Directory(source.get(), target.get(), shown, level + 1);
  }

  static absl::Status Symlink(int from, int to, const std::string& name) {
    char link[4096];
    const ssize_t length = ::readlinkat(from, name.c_str(), link, sizeof link - 1);
    if (length < 0) return ErrnoError(errno, "read the symbolic link");
    link[length] = '\0';
    if (::symlinkat(link, to, name.c_str()) != 0) {
      return ErrnoError(errno, "create the symbolic link");
    }
    return absl::OkStatus();
  }

  absl::Status File(int from, int to, const std::string& name, off_t size) {
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd source, OpenFileAt(from, name, O_RDONLY | O_NOFOLLOW));
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd target,
                            OpenFileAt(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (clones_) {
      if (::ioctl(target.get(), FICLONE, source.get()) == 0) return absl::OkStatus();
      // One that cannot will not for the next file either.
      clones_ = false;
    }
    return CopyPieces(source.get(), target.get(), size);
  }

  // Copies data and leaves holes.
  static absl::Status CopyPieces(int source, int target, off_t size) {
    for (off_t at = 0; at < size;) {
      off_t data = ::lseek(source, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;
      off_t end = data < 0 ? -1 : ::lseek(source, data, SEEK_HOLE);
      if (end < 0) {  // a file system that knows no holes
        data = at;
        end = size;
      }
      off_t to = data;
      while (data < end) {
        const ssize_t got =
            ::copy_file_range(source, &data, target, &to, static_cast<size_t>(end - data), 0);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ErrnoError(errno, "copy");
        if (got == 0) return absl::UnavailableError("the file shrank while it was copied");
      }
      at = end;
    }
    if (::ftruncate(target, size) != 0) return ErrnoError(errno, "set the size");
    return absl::OkStatus();
  }

  static absl::Status Xattrs(const std::string& from, const std::string& to) {
    char names[64 << 10];  // XATTR_LIST_MAX
    const ssize_t size = ::llistxattr(from.c_str(), names, sizeof names);
    if (size < 0 && errno == ENOTSUP) return absl::OkStatus();
    if (size < 0) return ErrnoError(errno, "list its extended attributes");
    for (const char* name = names; name < names + size; name += std::strlen(name) + 1) {
      char value[64 << 10];  // XATTR_SIZE_MAX
      const ssize_t length = ::lgetxattr(from.c_str(), name, value, sizeof value);
      if (length < 0 && errno == ENODATA) continue;
      if (length < 0) return ErrnoError(errno, absl::StrCat("read its extended attribute ", name));
      if (::lsetxattr(to.c_str(), name, value, static_cast<size_t>(length), 0) != 0) {
        return ErrnoError(errno, absl::StrCat("set xattr ", name));
      }
    }
    return absl::OkStatus();
  }

  const dev_t device_;
  const int root_;
  bool clones_ = true;
  bool reported_ = false;
  // Where the first name of a file with several has gone.
  std::map<ino_t, std::string> links_;
};

}  // namespace

absl::Status CopyTree(const std::string& from, const std::string& to) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd source, OpenFile(from, O_RDONLY | O_DIRECTORY));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd target, OpenFile(to, O_RDONLY | O_DIRECTORY));
  struct stat st {};
  if (::fstat(source.get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", from));
  Copier copier(st.st_dev, target.get());
  GANTRY_RETURN_IF_ERROR(copier.Directory(source.get(), target.get(), "", 0));
  return Annotate(Copier::Attributes(from, to, st), from);
}

}  // namespace gantry::snapshots
