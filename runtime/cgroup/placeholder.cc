#include "runtime/cgroup/placeholder.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/errors.h"

namespace gantry::runtime {

absl::StatusOr<std::unique_ptr<Placeholder>> Placeholder::Start() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "make a pipe");
  const UniqueFd wait(ends[0]);
  std::unique_ptr<Placeholder> placeholder(new Placeholder());
  placeholder->gate_ = UniqueFd(ends[1]);
  clone_args args{};  // no exit signal
  // A handler of this process's must not run in the child.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid == 0) {
    ::close(ends[1]);
    char byte;
    while (::read(ends[0], &byte, 1) < 0 && errno == EINTR) {
    }
    ::_exit(0);
  }
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return ErrnoError(error, "make a process for the scope");
  placeholder->pid_ = static_cast<pid_t>(pid);
  return placeholder;
}

Placeholder::~Placeholder() {
  if (pid_ < 0) return;
  gate_.reset();
  // Also where it cannot read the end of the pipe: in a frozen cgroup.
  ::kill(pid_, SIGKILL);  // not reaped: the number is still its own
  while (::waitpid(pid_, nullptr, __WCLONE) < 0 && errno == EINTR) {
  }
}

}  // namespace gantry::runtime
