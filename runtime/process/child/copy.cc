#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "runtime/process/child/steps.h"

namespace gantry::runtime {
namespace {

// Each level holds one buffer on the stack.
constexpr int kMaxDepth = 128;

struct Entry {
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[1];
};

int CopyFile(int from, int to, const char* name, const struct stat& status) noexcept {
  const int in = ::openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (in < 0) return errno;
  const int out = ::openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  int error = out < 0 ? errno : 0;
  while (error == 0) {
    const long sent = ::syscall(SYS_sendfile, out, in, nullptr, 1 << 20);
    if (sent == 0) break;
    if (sent < 0 && errno != EINTR) error = errno;
  }
  // The owner first: a change of it takes set-user-id away.
  if (error == 0 && ::fchown(out, status.st_uid, status.st_gid) != 0) error = errno;
  if (error == 0 && ::fchmod(out, status.st_mode & 07777) != 0) error = errno;
  ::close(in);
  if (out >= 0) ::close(out);
  return error;
}

int CopyLink(int from, int to, const char* name, const struct stat& status) noexcept {
  char target[PATH_MAX];
  const ssize_t size = ::readlinkat(from, name, target, sizeof target - 1);
  if (size < 0) return errno;
  target[size] = '\0';
  if (::symlinkat(target, to, name) != 0) return errno;
  return ::fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

int CopyNode(int to, const char* name, const struct stat& status) noexcept {
  if (::mknodat(to, name, status.st_mode, status.st_rdev) != 0) return errno;
  return ::fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
}

int CopyLevel(int from, int to, int depth) noexcept;

int CopyBelow(int from, int to, const char* name, const struct stat& status, int depth) noexcept {
  if (depth >= kMaxDepth) return ELOOP;
  if (::mkdirat(to, name, 0700) != 0) return errno;
  const int below = ::openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  const int copy = ::openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  int error = below < 0 || copy < 0 ? errno : CopyLevel(below, copy, depth + 1);
  if (error == 0 && ::fchown(copy, status.st_uid, status.st_gid) != 0) error = errno;
  if (error == 0 && ::fchmod(copy, status.st_mode & 07777) != 0) error = errno;
  if (below >= 0) ::close(below);
  if (copy >= 0) ::close(copy);
  return error;
}

int CopyOne(int from, int to, const char* name, int depth) noexcept {
  if (::strcmp(name, ".") == 0 || ::strcmp(name, "..") == 0) return 0;
  struct stat status;
  if (::fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  switch (status.st_mode & S_IFMT) {
    case S_IFREG:
      return CopyFile(from, to, name, status);
    case S_IFDIR:
      return CopyBelow(from, to, name, status, depth);
    case S_IFLNK:
      return CopyLink(from, to, name, status);
    case S_IFSOCK:
      return 0;  // nobody listens to a copy
    default:
      return CopyNode(to, name, status);
  }
}

int CopyLevel(int from, int to, int depth) noexcept {
  alignas(Entry) char buffer[4096];
  for (;;) {
    const long size = ::syscall(SYS_getdents64, from, buffer, sizeof buffer);
    if (size <= 0) return size < 0 ? errno : 0;
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
      if (const int error = CopyOne(from, to, entry->name, depth); error != 0) return error;
      at += entry->size;
    }
  }
}

}  // namespace

int CopyDirectory(int from, int to) noexcept { return CopyLevel(from, to, 0); }

}  // namespace gantry::runtime
