#include "runtime/zygote/zygote_client.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/errors.h"
#include "base/file.h"
#include "base/start_trace.h"
#include "runtime/zygote/zygote_protocol.h"

namespace gantry::runtime {
namespace {

absl::StatusOr<UniqueFd> SealedCopy(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd source, OpenFile(path, O_RDONLY));
  UniqueFd copy(::memfd_create("containerd-shim-gantry-v1", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!copy.valid()) return ErrnoError(errno, "create a memory file for the shim");
  GANTRY_ASSIGN_OR_RETURN(const std::string bytes, ReadFd(source.get(), size_t{256} << 20, path));
  GANTRY_RETURN_IF_ERROR(WriteAll(copy.get(), bytes, "the shim's copy in memory"));
  if (::fcntl(copy.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
      0) {
    return ErrnoError(errno, "seal the shim's copy in memory");
  }
  return copy;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ZygoteClient>> ZygoteClient::Start(const std::string& shim_binary) {
  GANTRY_ASSIGN_OR_RETURN(UniqueFd image, SealedCopy(shim_binary));
  std::unique_ptr<ZygoteClient> client(new ZygoteClient(std::move(image)));
  const std::lock_guard lock(client->mutex_);
  GANTRY_RETURN_IF_ERROR(client->Spawn());
  return client;
}

ZygoteClient::~ZygoteClient() {
  const std::lock_guard lock(mutex_);
  End();
}

pid_t ZygoteClient::pid() const {
  const std::lock_guard lock(mutex_);
  return pid_;
}

absl::Status ZygoteClient::Spawn() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return ErrnoError(errno, "create the zygote's socket");
  }
  UniqueFd ours(ends[0]);
  const UniqueFd theirs(ends[1]);
  // A zygote that hangs must not hang its callers.
  const timeval limit{10, 0};
  ::setsockopt(ours.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(ours.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);

  // dup2 onto itself clears close-on-exec too (posix_spawn does so by rule).
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), kZygoteSocketFd);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes,
                             POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  const std::string path = absl::StrCat("/proc/self/fd/", image_.get());
  // Room for the title of each forked shim: its namespace, id and socket.
  std::string padding(1024, ' ');
  std::string name = "containerd-shim-gantry-v1";
  std::string mode = "zygote";
  char* const arguments[] = {name.data(), mode.data(), padding.data(), nullptr};
  std::string search = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const char* const trace_file = std::getenv(kStartTraceVariable);
  std::string trace =
      absl::StrCat(kStartTraceVariable, "=", trace_file == nullptr ? "" : trace_file);
  char* const environment[] = {search.data(), trace.data(), nullptr};
  pid_t pid;
  const int error =
      ::posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments, environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoError(error, "start the zygote");
  pid_ = pid;
  pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  socket_ = std::move(ours);
  return absl::OkStatus();
}

void ZygoteClient::End() {
  socket_.reset();  // which it takes as the order to end
  if (pid_ <= 0) return;
  int status;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  pidfd_.reset();
}

absl::StatusOr<ForkedShim> ZygoteClient::Fork(const ShimRequest& request) {
  const std::string bytes = EncodeShimRequest(request);
  if (bytes.size() > kMaxZygotePacket) {
    return absl::InvalidArgumentError(
        absl::StrCat("request to the zygote has ", bytes.size(), " bytes"));
  }
  const std::lock_guard lock(mutex_);
  absl::Status sent = SendPacket(socket_.get(), bytes, request.listener);
  if (!sent.ok()) {
    // It has not seen this request, so asking its successor cannot make two shims.
    if (pidfd_.valid()) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    End();
    GANTRY_RETURN_IF_ERROR(Spawn());
    sent = SendPacket(socket_.get(), bytes, request.listener);
  }
  GANTRY_RETURN_IF_ERROR(sent);
  absl::StatusOr<Packet> packet = ReceivePacket(socket_.get());
  if (!packet.ok() || packet->bytes.empty()) {
    if (pidfd_.valid()) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    End();
    GANTRY_RETURN_IF_ERROR(Spawn());
    return absl::UnavailableError("the zygote ended while it forked a shim");
  }
  GANTRY_ASSIGN_OR_RETURN(const pid_t pid, DecodeForkReply(packet->bytes));
  if (!packet->fd.valid()) return absl::DataLossError("the zygote sent no pidfd");
  return ForkedShim{pid, std::move(packet->fd)};
}

}  // namespace gantry::runtime
