#include "shim/zygote.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"
#include "base/log.h"
#include "base/start_trace.h"
#include "runtime/zygote/zygote_protocol.h"
#include "shim/process_title.h"
#include "shim/shim.h"

namespace gantry::shim {
namespace {

absl::Status StdioToNull() {
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null.valid()) return ErrnoError(errno, "open /dev/null");
  for (const int fd : {0, 1, 2}) {
    if (::dup2(null.get(), fd) < 0) return ErrnoError(errno, "point stdio at /dev/null");
  }
  return absl::OkStatus();
}

void ReapShims(int signal_fd) {
  signalfd_siginfo info;
  while (::read(signal_fd, &info, sizeof info) > 0) {
  }
  while (::waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

// In the forked child. `listener` and the standard descriptors are all that stays open.
[[noreturn]] void BecomeShim(runtime::ShimRequest request, UniqueFd listener) {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
  const int fd = ::fcntl(listener.get(), F_DUPFD_CLOEXEC, runtime::kZygoteSocketFd);
  ::dup3(fd, runtime::kZygoteSocketFd, O_CLOEXEC);
  ::syscall(SYS_close_range, runtime::kZygoteSocketFd + 1, ~0u, 0);
  [[maybe_unused]] const int stale = listener.release();
  ::prctl(PR_SET_NAME, "containerd-shim", 0, 0, 0);
  SetArguments({"containerd-shim-gantry-v1", "-namespace", request.ns, "-id", request.id,
                "-address", SocketPathOf(runtime::kZygoteSocketFd)});
  ShimConfig config;
  config.ns = request.ns;
  config.id = request.id;
  config.bundle = request.bundle;
  config.ttrpc_address = request.ttrpc_address;
  config.daemon_keeps_order = true;  // gantryd, whose zygote this is
  config.debug = request.debug;
  config.listener.reset(runtime::kZygoteSocketFd);
  TraceStart(request.id, "fork");
  ::_exit(RunShim(std::move(config)));
}

absl::StatusOr<pid_t> ForkShim(runtime::Packet packet, UniqueFd* pidfd) {
  GANTRY_ASSIGN_OR_RETURN(runtime::ShimRequest request, runtime::DecodeShimRequest(packet.bytes));
  if (!packet.fd.valid()) {
    return absl::InvalidArgumentError("request to the zygote carries no listening socket");
  }
  if (::chdir(request.bundle.c_str()) != 0) {
    return ErrnoError(errno, absl::StrCat("enter bundle ", request.bundle));
  }
  const pid_t pid = ::fork();
  if (pid == 0) BecomeShim(std::move(request), std::move(packet.fd));
  const int error = errno;
  [[maybe_unused]] const int back = ::chdir("/");
  if (pid < 0) return ErrnoError(error, "fork a shim");
  // Not reaped before this, so the number cannot have been given to another.
  pidfd->reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd->valid()) return ErrnoError(errno, absl::StrCat("open pidfd of shim ", pid));
  return pid;
}

absl::Status Serve() {
  GANTRY_RETURN_IF_ERROR(StdioToNull());
  ::syscall(SYS_close_range, runtime::kZygoteSocketFd + 1, ~0u, 0);
  ::fcntl(runtime::kZygoteSocketFd, F_SETFD, FD_CLOEXEC);
  const int socket = runtime::kZygoteSocketFd;
  sigset_t child;
  ::sigemptyset(&child);
  ::sigaddset(&child, SIGCHLD);
  ::sigprocmask(SIG_BLOCK, &child, nullptr);
  const UniqueFd signals(::signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return ErrnoError(errno, "create a signalfd");
  if (::chdir("/") != 0) return ErrnoError(errno, "enter /");
  ::prctl(PR_SET_NAME, "gantry-zygote", 0, 0, 0);
  SetArguments({"containerd-shim-gantry-v1", "zygote"});
  for (;;) {
    pollfd watched[] = {{socket, POLLIN, 0}, {signals.get(), POLLIN, 0}};
    if (::poll(watched, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return ErrnoError(errno, "wait for requests");
    }
    if (watched[1].revents != 0) ReapShims(signals.get());
    if (watched[0].revents == 0) continue;
    GANTRY_ASSIGN_OR_RETURN(runtime::Packet packet, runtime::ReceivePacket(socket));
    if (packet.bytes.empty()) return absl::OkStatus();
    UniqueFd pidfd;
    const absl::StatusOr<pid_t> pid = ForkShim(std::move(packet), &pidfd);
    GANTRY_RETURN_IF_ERROR(runtime::SendPacket(socket, runtime::EncodeForkReply(pid), pidfd.get()));
  }
}

}  // namespace

int RunZygote() {
  StartTraceFromEnvironment("shim");
  const absl::Status status = Serve();
  return status.ok() ? 0 : 1;
}

}  // namespace gantry::shim
