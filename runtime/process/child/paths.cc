#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "runtime/process/child/steps.h"

namespace gantry::runtime {
namespace {

int OpenAt2(int root, const char* path, uint64_t resolve) noexcept {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
  for (;;) {
    const long fd = ::syscall(SYS_openat2, root, path, &how, sizeof how);
    // A rename somewhere in the tree while ".." was resolved: the kernel asks to try again.
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) return static_cast<int>(fd);
  }
}

int MakeLast(int parent, const char* name, bool directory) noexcept {
  if (directory) return ::mkdirat(parent, name, 0755) == 0 || errno == EEXIST ? 0 : errno;
  const int fd = ::openat(parent, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_WRONLY, 0644);
  if (fd < 0) return errno == EEXIST ? 0 : errno;
  ::close(fd);
  return 0;
}

}  // namespace

int OpenInContainer(int root, const char* path, Make make, uint64_t more_resolve) noexcept {
  int fd = OpenAt2(root, path, more_resolve);
  if (fd >= 0 || errno != ENOENT || make == Make::kNothing) return fd;
  char prefix[PATH_MAX];
  const size_t size = ::strlen(path);
  if (size >= sizeof prefix) {
    errno = ENAMETOOLONG;
    return -1;
  }
  ::memcpy(prefix, path, size + 1);
  int parent = OpenAt2(root, "/", 0);
  if (parent < 0) return -1;
  size_t begin = 0;
  while (begin < size) {
    while (begin < size && prefix[begin] == '/') ++begin;
    size_t end = begin;
    while (end < size && prefix[end] != '/') ++end;
    if (begin == end) break;
    const char kept = prefix[end];
    prefix[end] = '\0';
    int next = OpenAt2(root, prefix, more_resolve);
    if (next < 0 && errno == ENOENT) {
      const bool last = kept == '\0';
      const int error = MakeLast(parent, prefix + begin, !last || make == Make::kDirectory);
      // A link that leads nowhere exists and still cannot be opened: ENOENT it stays.
      next = error == 0 ? OpenAt2(root, prefix, more_resolve) : -1;
      if (error != 0) errno = error;
    }
    const int saved = errno;
    ::close(parent);
    errno = saved;
    if (next < 0) return -1;
    prefix[end] = kept;
    parent = next;
    begin = end;
  }
  return parent;
}

int OpenKind(const Child& child, const char* path, mode_t type, dev_t device, int flags,
             uint64_t more_resolve) noexcept {
  const int found = OpenInContainer(AT_FDCWD, path, Make::kNothing, more_resolve);
  if (found < 0) return -1;
  struct stat status;
  int fd = -1;
  if (::fstat(found, &status) == 0) {
    if ((status.st_mode & S_IFMT) == type && (type != S_IFCHR || status.st_rdev == device)) {
      char again[32];
      WriteFdPath(found, again);
      fd = ::openat(child.proc, again, flags | O_CLOEXEC, 0);
    } else {
      errno = ENODEV;
    }
  }
  const int saved = errno;
  ::close(found);
  errno = saved;
  return fd;
}

void WriteFdPath(int fd, char* out) noexcept {
  constexpr char kPrefix[] = "self/fd/";
  ::memcpy(out, kPrefix, sizeof kPrefix - 1);
  WriteNumber(fd, out + sizeof kPrefix - 1);
}

size_t WriteNumber(int number, char* out) noexcept {
  char digits[12];
  size_t count = 0;
  do {
    digits[count++] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number > 0);
  for (size_t i = 0; i < count; ++i) out[i] = digits[count - 1 - i];
  out[count] = '\0';
  return count;
}

void SetDetail(Child& child, const char* text) noexcept {
  size_t size = ::strlen(text);
  if (size >= kDetailSize) size = kDetailSize - 1;
  ::memcpy(child.report.detail, text, size);
  child.report.detail[size] = '\0';
}

}  // namespace gantry::runtime
