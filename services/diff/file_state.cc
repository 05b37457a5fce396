#include "services/diff/file_state.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"

namespace gantry::diff {
namespace {

constexpr size_t kCompareChunk = 128 << 10;

absl::Status ReadXattrs(const std::string& path, Entry* entry) {
  char names[64 << 10];  // XATTR_LIST_MAX
  const ssize_t size = ::llistxattr(path.c_str(), names, sizeof names);
  if (size < 0 && (errno == ENOTSUP || errno == ENODATA)) return absl::OkStatus();
  if (size < 0) return ErrnoError(errno, "list its extended attributes");
  for (const char* name = names; name < names + size; name += std::strlen(name) + 1) {
    if (!IsLayerXattr(name)) continue;
    char value[64 << 10];  // XATTR_SIZE_MAX
    const ssize_t length = ::lgetxattr(path.c_str(), name, value, sizeof value);
    if (length < 0 && errno == ENODATA) continue;
    if (length < 0) return ErrnoError(errno, absl::StrCat("read its extended attribute ", name));
    entry->xattrs.emplace_back(name, std::string(value, static_cast<size_t>(length)));
  }
  // The order that file systems list them in is their own.
  std::sort(entry->xattrs.begin(), entry->xattrs.end());
  return absl::OkStatus();
}

absl::StatusOr<size_t> ReadFull(int fd, char* bytes, size_t size) {
  size_t have = 0;
  while (have < size) {
    const ssize_t got = ::read(fd, bytes + have, size - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "read");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return have;
}

absl::StatusOr<bool> SameContent(int left_at, int right_at, const std::string& name) {
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW;
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd left, OpenFileAt(left_at, name, kFlags));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd right, OpenFileAt(right_at, name, kFlags));
  std::string a(kCompareChunk, '\0');
  std::string b(kCompareChunk, '\0');
  for (;;) {
    GANTRY_ASSIGN_OR_RETURN(const size_t have, ReadFull(left.get(), a.data(), a.size()));
    GANTRY_ASSIGN_OR_RETURN(const size_t other, ReadFull(right.get(), b.data(), b.size()));
    if (have != other || std::memcmp(a.data(), b.data(), have) != 0) return false;
    if (have < a.size()) return true;
  }
}

}  // namespace

bool IsLayerXattr(absl::string_view name) {
  if (absl::StartsWith(name, "trusted.overlay.") || absl::StartsWith(name, "user.overlay.")) {
    return false;
  }
  return absl::StartsWith(name, "user.") || absl::StartsWith(name, "trusted.") ||
         absl::StartsWith(name, "system.posix_acl_") || name == "security.capability";
}

absl::StatusOr<std::optional<FileState>> ReadState(int at, const std::string& name) {
  FileState state;
  if (::fstatat(at, name.c_str(), &state.st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return std::optional<FileState>();
    return ErrnoError(errno, "stat");
  }
  Entry& entry = state.entry;
  entry.mode = state.st.st_mode;
  entry.uid = state.st.st_uid;
  entry.gid = state.st.st_gid;
  entry.mtime = state.st.st_mtim;
  if (S_ISCHR(entry.mode) || S_ISBLK(entry.mode)) entry.device = state.st.st_rdev;
  if (S_ISLNK(entry.mode)) {
    char target[4096];
    const ssize_t length = ::readlinkat(at, name.c_str(), target, sizeof target);
    if (length < 0) return ErrnoError(errno, "read the symbolic link");
    entry.link.assign(target, static_cast<size_t>(length));
  }
  GANTRY_RETURN_IF_ERROR(ReadXattrs(JoinPath(FdPath(at), name), &entry));
  return std::optional<FileState>(std::move(state));
}

absl::StatusOr<bool> SameFile(const FileState& left, int left_at, const FileState& right,
                              int right_at, const std::string& name) {
  const Entry& a = left.entry;
  const Entry& b = right.entry;
  if (a.mode != b.mode || a.uid != b.uid || a.gid != b.gid || a.device != b.device ||
      a.link != b.link || a.mtime.tv_sec != b.mtime.tv_sec || a.mtime.tv_nsec != b.mtime.tv_nsec ||
      a.xattrs != b.xattrs) {
    return false;
  }
  if (!S_ISREG(a.mode)) return true;
  if (left.st.st_size != right.st.st_size) return false;
  if (left.st.st_dev == right.st.st_dev && left.st.st_ino == right.st.st_ino) return true;
  if (a.mtime.tv_nsec != 0) return true;
  return SameContent(left_at, right_at, name);
}

}  // namespace gantry::diff
