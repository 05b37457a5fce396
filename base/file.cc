#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "base/errors.h"
#include "base/random.h"

namespace gantry {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using UniqueDir = std::unique_ptr<DIR, DirCloser>;

std::string DirName(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// The names in the directory at `fd` (which stays the caller's).
absl::StatusOr<std::vector<std::string>> Names(int fd, absl::string_view what) {
  UniqueFd copy(::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!copy.valid()) return ErrnoError(errno, absl::StrCat("list ", what));
  UniqueDir dir(::fdopendir(copy.get()));
  if (dir == nullptr) return ErrnoError(errno, absl::StrCat("list ", what));
  (void)copy.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const absl::string_view name(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return ErrnoError(errno, absl::StrCat("list ", what));
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status RemoveBelow(int dirfd, const std::string& name, dev_t device,
                         const std::string& shown) {
  if (::unlinkat(dirfd, name.c_str(), 0) == 0 || errno == ENOENT) return absl::OkStatus();
  if (errno != EISDIR && errno != EPERM) return ErrnoError(errno, absl::StrCat("remove ", shown));
  // An empty directory needs not be looked into; whatever else is wrong is told below.
  if (::unlinkat(dirfd, name.c_str(), AT_REMOVEDIR) == 0) return absl::OkStatus();
  UniqueFd dir(::openat(dirfd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir.valid()) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError(errno, absl::StrCat("open ", shown, " to remove it"));
  }
  struct stat st {};
  if (::fstat(dir.get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", shown));
  if (st.st_dev != device) {
    return absl::FailedPreconditionError(
        absl::StrCat("remove ", shown, ": something is mounted there"));
  }
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> names, Names(dir.get(), shown));
  for (const std::string& child : names) {
    GANTRY_RETURN_IF_ERROR(RemoveBelow(dir.get(), child, device, absl::StrCat(shown, "/", child)));
  }
  if (::unlinkat(dirfd, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return ErrnoError(errno, absl::StrCat("remove directory ", shown));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<UniqueFd> OpenFileAt(int dirfd, const std::string& path, int flags, mode_t mode) {
  int fd;
  do {
    fd = ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return ErrnoError(errno, absl::StrCat("open ", path));
  return UniqueFd(fd);
}

absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode) {
  return OpenFileAt(AT_FDCWD, path, flags, mode);
}

absl::StatusOr<std::string> ReadFd(int fd, size_t max_bytes, absl::string_view what) {
  std::string bytes;
  char buffer[16384];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, absl::StrCat("read ", what));
    }
    if (got == 0) return bytes;
    if (bytes.size() + static_cast<size_t>(got) > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat("read ", what, ": longer than ", max_bytes, " bytes"));
    }
    bytes.append(buffer, static_cast<size_t>(got));
  }
}

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY));
  return ReadFd(fd.get(), max_bytes, path);
}

absl::Status WriteAll(int fd, absl::string_view bytes, absl::string_view what) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, absl::StrCat("write ", what));
    }
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return absl::OkStatus();
}

absl::Status WriteExisting(const std::string& path, absl::string_view bytes) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_WRONLY));
  ssize_t put;
  do {
    put = ::write(fd.get(), bytes.data(), bytes.size());
  } while (put < 0 && errno == EINTR);
  if (put < 0) return ErrnoError(errno, absl::StrCat("write \"", bytes, "\" to ", path));
  return absl::OkStatus();
}

absl::Status SyncDirectory(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (::fsync(fd.get()) != 0) return ErrnoError(errno, absl::StrCat("sync directory ", path));
  return absl::OkStatus();
}

absl::Status WriteFileAtomic(const std::string& path, absl::string_view bytes, mode_t mode,
                             Durability durability) {
  const std::string temporary = absl::StrCat(path, ".", RandomHex(8), ".tmp");
  absl::Status status = [&]() -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd,
                            OpenFile(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
    GANTRY_RETURN_IF_ERROR(WriteAll(fd.get(), bytes, temporary));
    if (durability == Durability::kDurable && ::fsync(fd.get()) != 0) {
      return ErrnoError(errno, absl::StrCat("sync ", temporary));
    }
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      return ErrnoError(errno, absl::StrCat("rename ", temporary, " to ", path));
    }
    return absl::OkStatus();
  }();
  if (!status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return durability == Durability::kDurable ? SyncDirectory(DirName(path)) : absl::OkStatus();
}

absl::Status MakeDirectories(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return absl::OkStatus();
  if (errno == EEXIST) {
    struct stat st {};
    if (::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return absl::OkStatus();
    return ErrnoError(ENOTDIR, absl::StrCat("create directory ", path));
  }
  const std::string parent = DirName(path);
  if (errno != ENOENT || parent == path || parent == ".") {
    return ErrnoError(errno, absl::StrCat("create directory ", path));
  }
  GANTRY_RETURN_IF_ERROR(MakeDirectories(parent, mode));
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return ErrnoError(errno, absl::StrCat("create directory ", path));
  }
  return absl::OkStatus();
}

absl::Status RemoveTreeAt(int dirfd, const std::string& name) {
  struct stat st {};
  if (::fstatat(dirfd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError(errno, absl::StrCat("stat ", name));
  }
  return RemoveBelow(dirfd, name, st.st_dev, name);
}

absl::Status RemoveTree(const std::string& path) { return RemoveTreeAt(AT_FDCWD, path); }

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  return Names(fd.get(), path);
}

}  // namespace gantry
