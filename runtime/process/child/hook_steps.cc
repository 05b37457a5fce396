#include <fcntl.h>
#include <linux/sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "runtime/process/child/steps.h"

// Hooks that run in the container's namespaces: children of the process that waits there.

namespace gantry::runtime {
namespace {

constexpr int kPidfd = 3;  // P_PIDFD of waitid(2)

int MemoryFile(const char* name) noexcept {
  return static_cast<int>(::syscall(SYS_memfd_create, name, 1 /* MFD_CLOEXEC */));
}

bool WriteText(int fd, const char* text) noexcept {
  const size_t size = ::strlen(text);
  return ::write(fd, text, size) == static_cast<ssize_t>(size);
}

// Its standard input: the state with the pid as it is known here. -1 with errno.
int OpenState(const HookArgs& args) noexcept {
  const int fd = MemoryFile("hook-state");
  if (fd < 0) return -1;
  char digits[12];
  WriteNumber(static_cast<int>(::syscall(SYS_getpid)), digits);
  if (WriteText(fd, args.state_before_pid) && WriteText(fd, digits) &&
      WriteText(fd, args.state_after_pid) && ::syscall(SYS_lseek, fd, 0, 0 /* SEEK_SET */) == 0) {
    return fd;
  }
  ::close(fd);
  return -1;
}

[[noreturn]] void Execute(const HookArgs& args, int in, int out) noexcept {
  if (::dup2(in, 0) == 0 && ::dup2(out, 1) == 1 && ::dup2(out, 2) == 2) {
    // Neither the runtime's descriptors nor those that the container is to inherit.
    ::syscall(SYS_close_range, 3, ~0U, 0);
    ::execve(args.path, args.argv, args.envp);
  }
  char digits[12];
  WriteNumber(errno, digits);
  WriteText(2, "cannot be executed, errno ");
  WriteText(2, digits);
  ::_exit(127);
}

// The end of a text that is being written into a buffer; what does not fit is left out.
class Words {
 public:
  Words(char* buffer, size_t size) noexcept : buffer_(buffer), left_(size - 1) {}
  void Add(const char* text) noexcept { Add(text, ::strlen(text)); }
  void Add(const char* text, size_t size) noexcept {
    if (size > left_) size = left_;
    ::memcpy(buffer_, text, size);
    buffer_ += size;
    left_ -= size;
    *buffer_ = '\0';
  }
  void AddNumber(int number) noexcept {
    char digits[12];
    Add(digits, WriteNumber(number, digits));
  }

 private:
  char* buffer_;
  size_t left_;
};

// What it printed last, without the newline at its end.
void AddOutput(int out, Words& words) noexcept {
  char text[160];
  const long end = ::syscall(SYS_lseek, out, 0, 2 /* SEEK_END */);
  const long from = end > static_cast<long>(sizeof text) ? end - static_cast<long>(sizeof text) : 0;
  if (::syscall(SYS_lseek, out, from, 0) < 0) return;
  ssize_t size = ::read(out, text, sizeof text);
  while (size > 0 && text[size - 1] == '\n') --size;
  if (size <= 0) return;
  words.Add(": ");
  words.Add(text, static_cast<size_t>(size));
}

// Waits for its end, or for its time to be up. 0 if it ended well; else the report has the words.
int WaitForHook(Child& child, const HookArgs& args, int pidfd, int out) noexcept {
  struct {
    int fd;
    short events, revents;
  } waited = {pidfd, 1 /* POLLIN */, 0};
  timespec timeout = {args.timeout_seconds, 0};
  long ready;
  do {
    ready = ::syscall(SYS_ppoll, &waited, 1, args.timeout_seconds > 0 ? &timeout : nullptr, nullptr,
                      sizeof(uint64_t));
  } while (ready < 0 && errno == EINTR);
  const bool late = ready == 0;
  if (late) ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  siginfo_t info;
  long got;
  do {
    got = ::syscall(SYS_waitid, kPidfd, pidfd, &info, 4 /* WEXITED */, nullptr);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return errno;
  if (!late && info.si_code == CLD_EXITED && info.si_status == 0) return 0;
  Words words(child.report.detail, kDetailSize);
  words.Add(args.name);
  if (late) {
    words.Add(": ran longer than its timeout and was killed");
  } else {
    words.Add(info.si_code == CLD_EXITED ? ": exit status " : ": was ended by signal ");
    words.AddNumber(info.si_status);
  }
  AddOutput(out, words);
  return kHookFailed;
}

}  // namespace

int RunHook(Child& child, const Step& step) noexcept {
  return RunOneHook(child, *static_cast<const HookArgs*>(step.data));
}

int RunOneHook(Child& child, const HookArgs& args) noexcept {
  const int in = OpenState(args);
  if (in < 0) return errno;
  const int out = MemoryFile("hook-output");
  int error = out < 0 ? errno : 0;
  int pidfd = -1;
  if (error == 0) {
    // clone(2), since a filter that is loaded already may not know clone3(2).
    const long pid = ::syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, nullptr, &pidfd, nullptr, nullptr);
    if (pid == 0) Execute(args, in, out);
    error = pid < 0 ? errno : WaitForHook(child, args, pidfd, out);
  }
  ::close(in);
  if (out >= 0) ::close(out);
  if (pidfd >= 0) ::close(pidfd);
  return error;
}

}  // namespace gantry::runtime
