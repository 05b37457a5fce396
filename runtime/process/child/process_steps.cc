#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "runtime/process/child/steps.h"

namespace gantry::runtime {
namespace {

// The kernel's own layout: glibc's sigaction refuses the two signals it keeps for itself, and its
// sigset_t is longer.
struct KernelSigaction {
  void* handler;
  unsigned long flags;
  void* restorer;
  uint64_t mask;
};

int ResetSignals() noexcept {
  const KernelSigaction fresh{};
  for (int signal = 1; signal <= 64; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP) continue;
    if (::syscall(SYS_rt_sigaction, signal, &fresh, nullptr, sizeof(uint64_t)) != 0) return errno;
  }
  const uint64_t none = 0;
  return ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof none) == 0 ? 0 : errno;
}

constexpr ino_t kProcRoot = 1;  // PROC_ROOT_INO of Linux's include/linux/proc_fs.h

int OpenProc() noexcept {
  const int fd = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -1;
  struct statfs status;
  struct stat root;
  // Nor a part of procfs that is mounted there: its root has a number of its own.
  if (::fstatfs(fd, &status) != 0 || status.f_type != PROC_SUPER_MAGIC || ::fstat(fd, &root) != 0 ||
      root.st_ino != kProcRoot) {
    ::close(fd);
    errno = ENOTSUP;
    return -1;
  }
  return fd;
}

int OpenMaster(const Child& child) noexcept {
  const int fd = OpenKind(child, "/dev/pts/ptmx", S_IFCHR, makedev(5, 2), O_RDWR | O_NOCTTY,
                          RESOLVE_NO_SYMLINKS);
  if (fd < 0) return -1;
  // An image may bring a device of that number; only the container's own devpts will do.
  struct statfs fs;
  if (::fstatfs(fd, &fs) != 0 || fs.f_type != DEVPTS_SUPER_MAGIC) {
    ::close(fd);
    errno = ENODEV;
    return -1;
  }
  return fd;
}

int BindConsole(int slave) noexcept {
  const int target = OpenInContainer(AT_FDCWD, "/dev/console", Make::kFile, RESOLVE_NO_SYMLINKS);
  if (target < 0) return errno;
  const int tree = static_cast<int>(
      ::syscall(SYS_open_tree, slave, "", 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC | AT_EMPTY_PATH));
  int error = tree < 0 ? errno : 0;
  if (error == 0 && ::syscall(SYS_move_mount, tree, "", target, "", 0x4 | 0x40) != 0) error = errno;
  ::close(target);
  if (tree >= 0) ::close(tree);
  return error;
}

}  // namespace

int JoinCgroup(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const CgroupArgs*>(step.data);
  return ::write(args.tasks, "0", 1) == 1 ? 0 : errno;
}

int PrepareProcess(Child& child, const Step&) noexcept {
  // Until execve nobody in the container may look into a process that still has the host's
  // descriptors open (CVE-2016-9962).
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return errno;
  if (const int error = ResetSignals(); error != 0) return error;
  if (::setsid() < 0) return errno;
  // What is made below gets the modes it is given; SetUmask comes last.
  ::umask(0);
  child.proc = OpenProc();
  return child.proc < 0 ? errno : 0;
}

int SetHostname(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const TextArgs*>(step.data);
  return ::sethostname(args.text, args.size) == 0 ? 0 : errno;
}

int SetDomainname(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const TextArgs*>(step.data);
  return ::setdomainname(args.text, args.size) == 0 ? 0 : errno;
}

int JoinSessionKeyring(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const TextArgs*>(step.data);
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, args.text) >= 0) return 0;
  // No keys in this kernel, or none left for the user: then there is no session to share either.
  return errno == ENOSYS || errno == EDQUOT || errno == EPERM ? 0 : errno;
}

int WriteProcFile(Child& child, const char* path, const char* text, size_t size) noexcept {
  open_how how{};
  how.flags = O_WRONLY | O_CLOEXEC;
  // What is mounted over a file of procfs is not that file (CVE-2025-52881).
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  const int fd = static_cast<int>(::syscall(SYS_openat2, child.proc, path, &how, sizeof how));
  if (fd < 0) {
    if (errno == EXDEV) SetDetail(child, "something is mounted over it");
    return errno;
  }
  const int error = ::write(fd, text, size) < 0 ? errno : 0;
  ::close(fd);
  return error;
}

int WriteProc(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const WriteProcArgs*>(step.data);
  return WriteProcFile(child, args.path, args.text, args.size);
}

int SetStdio(Child&, const Step& step) noexcept {
  const auto& args = *static_cast<const StdioArgs*>(step.data);
  for (int i = 0; i < 3; ++i) {
    if (args.source[i] >= 0) {
      if (::dup2(args.source[i], i) < 0) return errno;
      // Best effort, as everywhere: what is not a pipe or terminal of ours may refuse.
      struct stat status;
      if (args.give_pipes && ::fstat(i, &status) == 0 && S_ISFIFO(status.st_mode) &&
          status.st_uid != args.uid) {
        (void)!::fchown(i, args.uid, static_cast<gid_t>(-1));
      }
      continue;
    }
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) return errno;
    if (null == i) {
      if (::fcntl(i, F_SETFD, 0) != 0) return errno;
      continue;
    }
    if (::dup2(null, i) < 0) return errno;
    ::close(null);
  }
  return 0;
}

int ReopenNull(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const StdioArgs*>(step.data);
  if (args.source[0] >= 0 && args.source[1] >= 0 && args.source[2] >= 0) return 0;
  const int null = OpenKind(child, "/dev/null", S_IFCHR, makedev(1, 3), O_RDWR, 0);
  if (null < 0) return 0;
  for (int i = 0; i < 3; ++i) {
    if (args.source[i] < 0 && ::dup2(null, i) < 0) return errno;
  }
  ::close(null);
  return 0;
}

int OpenTerminal(Child& child, const Step& step) noexcept {
  const auto& args = *static_cast<const TerminalArgs*>(step.data);
  const int master = OpenMaster(child);
  if (master < 0) return errno;
  const int unlock = 0;
  if (::ioctl(master, TIOCSPTLCK, &unlock) != 0) return errno;
  const int slave = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) return errno;
  if (args.height != 0 || args.width != 0) {
    winsize size{};
    size.ws_row = args.height;
    size.ws_col = args.width;
    if (::ioctl(master, TIOCSWINSZ, &size) != 0) return errno;
  }
  (void)!::fchown(slave, args.uid, static_cast<gid_t>(-1));
  if (args.bind_console) {
    if (const int error = BindConsole(slave); error != 0) return error;
  }
  if (const int error = SendReport(child, ReportKind::kConsole, master); error != 0) return error;
  ::close(master);
  for (int i = 0; i < 3; ++i) {
    if (::dup2(slave, i) < 0) return errno;
  }
  if (slave > 2) ::close(slave);
  return ::ioctl(0, TIOCSCTTY, 0) == 0 ? 0 : errno;
}

}  // namespace gantry::runtime
