#include "base/path.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <vector>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"

namespace gantry {
namespace {

absl::StatusOr<UniqueFd> Open2(int root, const std::string& path, int flags, mode_t mode,
                               uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  long fd;
  do {
    // EAGAIN: a rename or mount raced with the walk, and the kernel asks for another try.
    fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how);
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  if (fd < 0) return ErrnoError(errno, absl::StrCat("open ", path, " beneath its root"));
  return UniqueFd(static_cast<int>(fd));
}

}  // namespace

absl::StatusOr<UniqueFd> OpenInRoot(int root, const std::string& path, int flags, mode_t mode) {
  return Open2(root, path, flags, mode, RESOLVE_IN_ROOT);
}

absl::StatusOr<UniqueFd> OpenBeneath(int root, const std::string& path, int flags, mode_t mode) {
  return Open2(root, path, flags, mode, RESOLVE_BENEATH);
}

absl::StatusOr<UniqueFd> MakeDirectoriesInRoot(int root, const std::string& path, mode_t mode) {
  const std::string clean = CleanPath(absl::StrCat("/", path));
  GANTRY_ASSIGN_OR_RETURN(UniqueFd at, OpenInRoot(root, "/", O_PATH | O_DIRECTORY));
  std::string done;
  for (const absl::string_view part : absl::StrSplit(clean, '/', absl::SkipEmpty())) {
    const std::string name(part);
    absl::StrAppend(&done, "/", name);
    absl::StatusOr<UniqueFd> next = OpenInRoot(root, done, O_PATH | O_DIRECTORY);
    if (!next.ok() && ErrnoOf(next.status()) == ENOENT) {
      if (::mkdirat(at.get(), name.c_str(), mode) != 0 && errno != EEXIST) {
        return ErrnoError(errno, absl::StrCat("create directory ", done, " beneath its root"));
      }
      next = OpenInRoot(root, done, O_PATH | O_DIRECTORY);
    }
    if (!next.ok()) return next.status();
    at = *std::move(next);
  }
  return at;
}

std::string FdPath(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

std::string CleanPath(absl::string_view path) {
  const bool rooted = !path.empty() && path[0] == '/';
  std::vector<absl::string_view> parts;
  for (const absl::string_view part : absl::StrSplit(path, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == "..") {
      if (!parts.empty() && parts.back() != "..") {
        parts.pop_back();
      } else if (!rooted) {
        parts.push_back(part);
      }
      continue;
    }
    parts.push_back(part);
  }
  std::string joined = absl::StrJoin(parts, "/");
  if (rooted) return absl::StrCat("/", joined);
  return joined.empty() ? "." : joined;
}

std::string JoinPath(absl::string_view a, absl::string_view b) {
  return CleanPath(absl::StrCat(a, "/", b));
}

}  // namespace gantry
