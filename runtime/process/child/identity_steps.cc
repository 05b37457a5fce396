#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "runtime/process/child/steps.h"

// System calls by number where glibc's wrapper would tell "all threads" of it (the setxid family):
// the child has one thread, and glibc's list is the parent's.

namespace gantry::runtime {

int SetRlimit(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const RlimitArgs*>(step.data);
  return ::prlimit(0, static_cast<__rlimit_resource>(args.resource), &args.limit, nullptr) == 0
             ? 0
             : errno;
}

int DropBounding(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const IdentityArgs*>(step.data);
  for (int i = 0; i < 64; ++i) {
    if ((args.bounding >> i & 1) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0) {
      if (errno == EINVAL) break;  // past the kernel's last capability
      return errno;
    }
  }
  return 0;
}

int SetUserAndGroups(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const IdentityArgs*>(step.data);
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return errno;
  if (const int error = SetGroups(child, args.groups, args.group_count); error != 0) return error;
  if (::syscall(SYS_setresgid, args.gid, args.gid, args.gid) != 0) return errno;
  if (::syscall(SYS_setresuid, args.uid, args.uid, args.uid) != 0) return errno;
  return ::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == 0 ? 0 : errno;
}

int SetCapabilities(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const IdentityArgs*>(step.data);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2];
  for (int i = 0; i < 2; ++i) {
    data[i].effective = static_cast<uint32_t>(args.effective >> (32 * i));
    data[i].permitted = static_cast<uint32_t>(args.permitted >> (32 * i));
    data[i].inheritable = static_cast<uint32_t>(args.inheritable >> (32 * i));
  }
  if (::syscall(SYS_capset, &header, data) != 0) return errno;
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errno;
  for (int i = 0; i < 64; ++i) {
    if ((args.ambient >> i & 1) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0) return errno;
  }
  return 0;
}

int SetNoNewPrivileges(Child&, const Step&) noexcept {
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : errno;
}

int SetUmask(Child&, const Step& step) noexcept {
  ::umask(static_cast<const UmaskArgs*>(step.data)->mask);
  return 0;
}

int LoadSeccompProgram(Child& child, const SeccompArgs& args) noexcept {
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, args.flags, &args.program);
  if (result < 0) return errno;
  if (!args.listener) return 0;
  Report report{};
  report.kind = ReportKind::kListener;
  report.index = static_cast<int>(result);
  if (::write(child.socket, &report, sizeof report) < 0) return errno;
  char word = 0;
  ssize_t size;
  do {
    size = ::read(child.socket, &word, 1);
  } while (size < 0 && errno == EINTR);
  ::close(static_cast<int>(result));
  return size == 1 && word == kGo ? 0 : ECANCELED;
}

int LoadSeccomp(Child& child, const Step& step) noexcept {
  return LoadSeccompProgram(child, *static_cast<const SeccompArgs*>(step.data));
}

int MakeCwd(Child&, const Step& step) noexcept {
  const char* path = static_cast<const CwdArgs*>(step.data)->path;
  const int fd = OpenInContainer(AT_FDCWD, path, Make::kDirectory, 0);
  if (fd >= 0) {
    ::close(fd);
    return 0;
  }
  // A read-only root, or a directory only the user may enter: EnterCwd will tell.
  return 0;
}

int EnterCwd(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const CwdArgs*>(step.data);
  if (child.in_cwd) return 0;
  if (::chdir(args.path) != 0) {
    return args.may_retry && (errno == EACCES || errno == EPERM) ? 0 : errno;
  }
  // A descriptor of the host's that leaked would make "/proc/self/fd/7" a way out
  // (CVE-2024-21626): the kernel then writes "(unreachable)" before the path.
  char path[PATH_MAX];
  if (::syscall(SYS_getcwd, path, sizeof path) < 0) return errno;
  if (path[0] != '/') return EXDEV;
  child.in_cwd = true;
  return 0;
}

namespace {

// The field at `line`, which ends at `end`, or null. Fields are divided by colons.
const char* Field(const char* line, const char* end, int index, size_t* size) noexcept {
  for (; index > 0; --index) {
    while (line < end && *line != ':') ++line;
    if (line == end) return nullptr;
    ++line;
  }
  const char* stop = line;
  while (stop < end && *stop != ':') ++stop;
  *size = static_cast<size_t>(stop - line);
  return line;
}

bool IsNumber(const char* text, size_t size, uint64_t number) noexcept {
  uint64_t value = 0;
  if (size == 0 || size > 10) return false;
  for (size_t i = 0; i < size; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    value = value * 10 + static_cast<uint64_t>(text[i] - '0');
  }
  return value == number;
}

bool TakeHome(const char* line, const char* end, const HomeArgs& args) noexcept {
  size_t size = 0;
  const char* id = Field(line, end, 2, &size);
  if (id == nullptr || !IsNumber(id, size, args.uid)) return false;
  const char* home = Field(line, end, 5, &size);
  constexpr size_t kPrefix = 5;  // "HOME="
  if (home == nullptr || size == 0 || kPrefix + size >= kHomeSize) return true;
  ::memcpy(args.variable + kPrefix, home, size);
  args.variable[kPrefix + size] = '\0';
  return true;
}

}  // namespace

int FindHome(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const HomeArgs*>(step.data);
  const int fd = OpenKind(child, "/etc/passwd", S_IFREG, 0, O_RDONLY, 0);
  if (fd < 0) return 0;
  char buffer[4096];
  size_t held = 0;
  // At most 1 MB of a file that the image's maker wrote.
  for (int reads = 0; reads < 256; ++reads) {
    const ssize_t got = ::read(fd, buffer + held, sizeof buffer - held);
    if (got <= 0) {
      if (held != 0) TakeHome(buffer, buffer + held, args);
      break;
    }
    held += static_cast<size_t>(got);
    size_t begin = 0;
    bool found = false;
    for (size_t i = 0; i < held && !found; ++i) {
      if (buffer[i] != '\n') continue;
      found = TakeHome(buffer + begin, buffer + i, args);
      begin = i + 1;
    }
    if (found || (begin == 0 && held == sizeof buffer)) break;
    held -= begin;
    ::memmove(buffer, buffer + begin, held);
  }
  ::close(fd);
  return 0;
}

int CloseDescriptors(Child& child, const Step&) noexcept {
  const unsigned first = 3 + child.plan->kept_fds;
  for (unsigned fd = 3; fd < first; ++fd) {
    if (::fcntl(static_cast<int>(fd), F_SETFD, 0) != 0) return errno;
  }
  // The gaps between the two that are still needed.
  const auto one = static_cast<unsigned>(child.socket);
  const auto other = child.plan->listener < 0 ? one : static_cast<unsigned>(child.plan->listener);
  const unsigned low = one < other ? one : other;
  const unsigned high = one < other ? other : one;
  if (low > first && ::syscall(SYS_close_range, first, low - 1, 0) != 0) return errno;
  if (high > low + 1 && ::syscall(SYS_close_range, low + 1, high - 1, 0) != 0) return errno;
  return ::syscall(SYS_close_range, high + 1, ~0U, 0) == 0 ? 0 : errno;
}

}  // namespace gantry::runtime
