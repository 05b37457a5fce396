#include "services/diff/directory_stack.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"
#include "services/diff/entry.h"

namespace gantry::diff {
namespace {

constexpr int kDirectory = O_RDONLY | O_DIRECTORY;
// Descriptors held at a time; a path may have two thousand levels.
constexpr size_t kMostOpen = 64;
constexpr char kDefaultAcl[] = "system.posix_acl_default";

bool IsWithin(absl::string_view path, absl::string_view directory) {
  if (directory == "/" || path == directory) return true;
  return absl::StartsWith(path, directory) && path[directory.size()] == '/';
}

// Takes the default ACL off a directory; empty if it has none.
std::string TakeDefaultAcl(int fd) {
  char value[4096];
  const ssize_t size = ::fgetxattr(fd, kDefaultAcl, value, sizeof value);
  if (size <= 0 || ::fremovexattr(fd, kDefaultAcl) != 0) return "";
  return std::string(value, static_cast<size_t>(size));
}

}  // namespace

std::pair<std::string, std::string> SplitPath(const std::string& path) {
  const size_t slash = path.rfind('/');
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

absl::StatusOr<DirectoryStack::Directory*> DirectoryStack::Enter(const std::string& path) {
  while (!stack_.empty() && !IsWithin(path, stack_.back().path)) GANTRY_RETURN_IF_ERROR(Leave());
  if (!stack_.empty()) {
    if (!stack_.back().fd.valid()) GANTRY_RETURN_IF_ERROR(Reopen(stack_.back()));
    if (stack_.back().path == path) return &stack_.back();
  }
  bool made = false;
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, Open(path, &made));
  return Push(path, std::move(fd), made);
}

absl::StatusOr<UniqueFd> DirectoryStack::Open(const std::string& path, bool* made) {
  if (path == "/") return OpenFileAt(root_, ".", kDirectory);
  const auto [parent, name] = SplitPath(path);
  if (!stack_.empty() && stack_.back().path == parent) {
    UniqueFd fd(
        ::openat(stack_.back().fd.get(), name.c_str(), kDirectory | O_NOFOLLOW | O_CLOEXEC));
    if (fd.valid()) return fd;
  }
  absl::StatusOr<UniqueFd> fd = OpenInRoot(root_, path, kDirectory);
  if (fd.ok()) return fd;
  if (const int error = ErrnoOf(fd.status()); error != ENOENT) {
    return ErrnoError(error, absl::StrCat("open its directory ", QuotedName(path)));
  }
  GANTRY_ASSIGN_OR_RETURN(const Directory* const above, Enter(parent));
  if (::mkdirat(above->fd.get(), name.c_str(), 0755) != 0) {
    // EEXIST: a link that leads nowhere.
    return ErrnoError(errno, absl::StrCat("create its directory ", QuotedName(path)));
  }
  *made = true;
  return OpenFileAt(above->fd.get(), name, kDirectory | O_NOFOLLOW);
}

absl::StatusOr<DirectoryStack::Directory*> DirectoryStack::Push(const std::string& path,
                                                                UniqueFd fd, bool made) {
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0)
    return ErrnoError(errno, absl::StrCat("stat ", QuotedName(path)));
  if (made) made_.insert(st.st_ino);
  Directory directory;
  directory.path = path;
  directory.inode = st.st_ino;
  directory.mtime = st.st_mtim;
  directory.fresh = made_.contains(st.st_ino);
  directory.inherits_group = (st.st_mode & S_ISGID) != 0;
  if (!made) directory.default_acl = TakeDefaultAcl(fd.get());
  directory.fd = std::move(fd);
  if (stack_.size() >= kMostOpen) stack_[stack_.size() - kMostOpen].fd.reset();
  stack_.push_back(std::move(directory));
  return &stack_.back();
}

absl::Status DirectoryStack::Reopen(Directory& directory) {
  GANTRY_ASSIGN_OR_RETURN(directory.fd, OpenInRoot(root_, directory.path, kDirectory));
  return absl::OkStatus();
}

absl::Status DirectoryStack::Leave() {
  Directory& directory = stack_.back();
  absl::Status status = directory.fd.valid() ? absl::OkStatus() : Reopen(directory);
  if (status.ok() && !directory.default_acl.empty() &&
      ::fsetxattr(directory.fd.get(), kDefaultAcl, directory.default_acl.data(),
                  directory.default_acl.size(), 0) != 0) {
    status = ErrnoError(errno, absl::StrCat("set the default ACL of ", QuotedName(directory.path)));
  }
  struct timespec omit {};
  omit.tv_nsec = UTIME_OMIT;
  const struct timespec times[2] = {omit, directory.mtime};
  if (status.ok() && ::futimens(directory.fd.get(), times) != 0) {
    status = ErrnoError(errno, absl::StrCat("set the times of ", QuotedName(directory.path)));
  }
  stack_.pop_back();
  return status;
}

absl::Status DirectoryStack::Finish() {
  while (!stack_.empty()) GANTRY_RETURN_IF_ERROR(Leave());
  return absl::OkStatus();
}

}  // namespace gantry::diff
