#include "services/snapshots/link_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"

namespace gantry::snapshots {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

absl::Status CopyAttributes(int from, int to, const std::string& what) {
  std::vector<char> names(1 << 16);
  const ssize_t length = ::flistxattr(from, names.data(), names.size());
  if (length < 0) return errno == ENOTSUP ? absl::OkStatus() : ErrnoError(errno, what);
  std::vector<char> value(1 << 16);
  for (const char* name = names.data(); name < names.data() + length;
       name += std::strlen(name) + 1) {
    const ssize_t size = ::fgetxattr(from, name, value.data(), value.size());
    if (size < 0) return ErrnoError(errno, absl::StrCat(what, ": attribute ", name));
    if (::fsetxattr(to, name, value.data(), static_cast<size_t>(size), 0) != 0) {
      return ErrnoError(errno, absl::StrCat(what, ": attribute ", name));
    }
  }
  return absl::OkStatus();
}

// After the entries, which change the times.
absl::Status CopyDirectoryState(int from, int to, const std::string& what) {
  struct stat st {};
  if (::fstat(from, &st) != 0 || ::fchown(to, st.st_uid, st.st_gid) != 0 ||
      ::fchmod(to, st.st_mode & 07777) != 0) {
    return ErrnoError(errno, what);
  }
  GANTRY_RETURN_IF_ERROR(CopyAttributes(from, to, what));
  const struct timespec times[2] = {st.st_atim, st.st_mtim};
  return ::futimens(to, times) == 0 ? absl::OkStatus() : ErrnoError(errno, what);
}

absl::Status LinkInto(int from_parent, int to_parent, const std::string& name,
                      const std::string& path);

absl::Status LinkEntries(int from, int to, const std::string& path) {
  const int listed = ::fcntl(from, F_DUPFD_CLOEXEC, 0);
  const std::unique_ptr<DIR, DirCloser> dir(listed < 0 ? nullptr : ::fdopendir(listed));
  if (dir == nullptr) return ErrnoError(errno, absl::StrCat("list ", path));
  errno = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    GANTRY_RETURN_IF_ERROR(LinkInto(from, to, name, absl::StrCat(path, "/", name)));
    errno = 0;
  }
  return errno == 0 ? absl::OkStatus() : ErrnoError(errno, absl::StrCat("list ", path));
}

absl::Status LinkDirectory(int from_parent, const std::string& from_name, int to_parent,
                           const std::string& to_name, const std::string& path) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  const std::string what = absl::StrCat("copy directory ", path);
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd from, OpenFileAt(from_parent, from_name, kFlags));
  if (::mkdirat(to_parent, to_name.c_str(), 0700) != 0) return ErrnoError(errno, what);
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd to, OpenFileAt(to_parent, to_name, kFlags));
  GANTRY_RETURN_IF_ERROR(LinkEntries(from.get(), to.get(), path));
  return CopyDirectoryState(from.get(), to.get(), what);
}

absl::Status LinkInto(int from_parent, int to_parent, const std::string& name,
                      const std::string& path) {
  struct stat st {};
  if (::fstatat(from_parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoError(errno, absl::StrCat("stat ", path));
  }
  if (S_ISDIR(st.st_mode)) return LinkDirectory(from_parent, name, to_parent, name, path);
  if (::linkat(from_parent, name.c_str(), to_parent, name.c_str(), 0) != 0) {
    return ErrnoError(errno, absl::StrCat("link ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status LinkTree(const std::string& from, const std::string& to) {
  return LinkDirectory(AT_FDCWD, from, AT_FDCWD, to, from);
}

}  // namespace gantry::snapshots
