#include "cli/foreground.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/log.h"

namespace gantry::cli {
namespace {

// Carries bytes one way: reads only when all before is written.
class Pump {
 public:
  Pump(int from, int to) : from_(from), to_(to) {}

  [[nodiscard]] pollfd Wanted() const {
    if (done_) return {-1, 0, 0};
    return begin_ == end_ ? pollfd{from_, POLLIN, 0} : pollfd{to_, POLLOUT, 0};
  }
  [[nodiscard]] bool done() const { return done_; }

  // One step; the descriptor of Wanted() was ready.
  void Step() {
    if (begin_ == end_) {
      const ssize_t got = ::read(from_, buffer_, sizeof buffer_);
      begin_ = 0;
      end_ = got > 0 ? static_cast<size_t>(got) : 0;
      // EIO is the end of a terminal that nobody has open any more.
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) done_ = true;
      return;
    }
    const ssize_t put = ::write(to_, buffer_ + begin_, end_ - begin_);
    if (put > 0) begin_ += static_cast<size_t>(put);
    if (put < 0 && errno != EAGAIN && errno != EINTR) done_ = true;
  }

 private:
  // At most what a pipe takes at once when poll(2) says that it takes something.
  char buffer_[4096];
  size_t begin_ = 0;
  size_t end_ = 0;
  int from_;
  int to_;
  bool done_ = false;
};

bool IsForwarded(int signal) {
  switch (signal) {
    case SIGCHLD:   // this process's own business
    case SIGWINCH:  // the terminal's size is copied instead
    case SIGURG:    // as runc: its own language sends these to itself
    case SIGPIPE:
    case SIGTTIN:
    case SIGTTOU:
      return false;
    default:
      return true;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Foreground>> Foreground::Prepare(runtime::Process* process) {
  sigset_t all;
  ::sigfillset(&all);
  // Of this process's own errors.
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS}) {
    ::sigdelset(&all, fault);
  }
  if (::sigprocmask(SIG_SETMASK, &all, nullptr) != 0) return ErrnoError(errno, "block signals");
  UniqueFd fd(::signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return ErrnoError(errno, "make a signalfd");
  std::unique_ptr<Foreground> foreground(new Foreground(std::move(fd)));
  if (process->terminal) {
    GANTRY_ASSIGN_OR_RETURN(HostTerminal terminal, HostTerminal::Open());
    const runtime::ConsoleSize size = terminal.Size();
    if (size.height != 0 || size.width != 0) process->console_size = size;
    foreground->terminal_.emplace(std::move(terminal));
  }
  return foreground;
}

absl::Status Foreground::HandleSignals(pid_t pid, int pidfd, std::optional<int>* exit_status) {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGWINCH && terminal_.has_value()) {
      terminal_->CopySizeTo(console_).IgnoreError();
    }
    // One that the terminal or the service sent to the whole group has reached nobody else: the
    // process has a session of its own.
    if (IsForwarded(signal)) ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0);
  }
  for (;;) {
    siginfo_t ended{};
    if (::waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | __WALL) != 0 || ended.si_pid == 0) break;
    if (ended.si_pid != pid) continue;
    *exit_status = ended.si_code == CLD_EXITED ? ended.si_status : 128 + ended.si_status;
  }
  return absl::OkStatus();
}

absl::Status Foreground::TakeTerminal(UniqueFd console) {
  console_ = std::move(console);
  if (!console_.valid()) return absl::OkStatus();
  if (::fcntl(console_.get(), F_SETFL, O_NONBLOCK) != 0) {
    return ErrnoError(errno, "make the console non-blocking");
  }
  // What has changed since it was prepared.
  terminal_->CopySizeTo(console_).IgnoreError();
  return terminal_->MakeRaw();
}

void Foreground::Drain() {
  // Others may still have the terminal open: what is there is taken, nothing is waited for.
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(console_.get(), buffer, sizeof buffer)) > 0) {
    for (ssize_t done = 0; done < got;) {
      const ssize_t put = ::write(STDOUT_FILENO, buffer + done, static_cast<size_t>(got - done));
      if (put < 0 && errno != EINTR) return;
      if (put > 0) done += put;
    }
  }
}

absl::StatusOr<int> Foreground::Wait(pid_t pid, int pidfd, UniqueFd console, NotifySocket* notify) {
  if (const absl::Status taken = TakeTerminal(std::move(console)); !taken.ok()) {
    ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    return taken;
  }
  Pump input(STDIN_FILENO, console_.get());
  Pump output(console_.get(), STDOUT_FILENO);
  bool watch_notify = notify != nullptr && notify->fd() >= 0;
  std::optional<int> exit_status;
  for (;;) {
    // A child that ended before the first wait has left no signal that is still to come.
    GANTRY_RETURN_IF_ERROR(HandleSignals(pid, pidfd, &exit_status));
    if (exit_status.has_value()) break;
    pollfd waited[] = {{signals_.get(), POLLIN, 0},
                       console_.valid() ? input.Wanted() : pollfd{-1, 0, 0},
                       console_.valid() ? output.Wanted() : pollfd{-1, 0, 0},
                       {watch_notify ? notify->fd() : -1, POLLIN, 0}};
    if (::poll(waited, std::size(waited), -1) < 0 && errno != EINTR) {
      return ErrnoError(errno, "wait for the container");
    }
    if (waited[1].revents != 0) input.Step();
    if (waited[2].revents != 0) output.Step();
    if (waited[3].revents != 0) {
      const absl::StatusOr<bool> told = notify->HandleMessage(pid);
      if (!told.ok()) LogWarn(told.status().message());
      watch_notify = told.ok() && !*told;
    }
  }
  if (console_.valid()) {
    while (output.Wanted().events == POLLOUT) output.Step();
    Drain();
  }
  terminal_.reset();
  return *exit_status;
}

}  // namespace gantry::cli
