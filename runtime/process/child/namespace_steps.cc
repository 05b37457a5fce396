#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "runtime/process/child/steps.h"

namespace gantry::runtime {
namespace {

// Whether the user namespace forbids setgroups(2), which then fails even with CAP_SETGID.
bool SetgroupsDenied(const Child& child) noexcept {
  const int fd = ::openat(child.proc, "self/setgroups", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  char word[4] = {};
  const ssize_t size = ::read(fd, word, sizeof word);
  ::close(fd);
  return size == 4 && ::memcmp(word, "deny", 4) == 0;
}

}  // namespace

int SetNamespace(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const SetNamespaceArgs*>(step.data);
  return ::setns(args.fd, args.flags) == 0 ? 0 : errno;
}

int Unshare(Child&, const Step& step) noexcept {
  return ::unshare(static_cast<const UnshareArgs*>(step.data)->flags) == 0 ? 0 : errno;
}

int CloneAgain(Child& child, const Step& step) noexcept {
  int pidfd = -1;
  struct {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
  } args{};
  // A child of the runtime, as this process is; its exit signal is then this one's.
  args.flags = static_cast<const CloneArgs*>(step.data)->flags | CLONE_PARENT | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) return errno;
  if (pid == 0) return ::setsid() < 0 ? errno : 0;
  // Without the runtime the clone reads the end of file instead of its word, and ends.
  SendReport(child, ReportKind::kCloned, pidfd);
  ::_exit(0);
}

int EnterNewTime(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const TextArgs*>(step.data);
  if (::unshare(0x80 /* CLONE_NEWTIME */) != 0) return errno;
  if (const int error = WriteProcFile(child, "self/timens_offsets", args.text, args.size);
      error != 0) {
    return error;
  }
  // It is the namespace of children so far.
  const int fd = ::openat(child.proc, "self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  const int error = ::setns(fd, 0x80) == 0 ? 0 : errno;
  ::close(fd);
  return error;
}

int BecomeRoot(Child& child, const Step&) noexcept {
  if (const int error = SetGroups(child, nullptr, 0); error != 0) return error;
  if (::syscall(SYS_setresgid, 0, 0, 0) != 0) return errno;
  return ::syscall(SYS_setresuid, 0, 0, 0) == 0 ? 0 : errno;
}

int SetGroups(const Child& child, const gid_t* groups, size_t count) noexcept {
  if (::syscall(SYS_setgroups, count, groups) == 0) return 0;
  const int error = errno;
  return error == EPERM && count == 0 && SetgroupsDenied(child) ? 0 : error;
}

}  // namespace gantry::runtime
