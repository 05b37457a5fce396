#include "runtime/process/seccomp_listener.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/errors.h"
#include "base/json.h"

namespace gantry::runtime {
namespace {

constexpr timeval kPatience = {10, 0};

absl::StatusOr<UniqueFd> Connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError("longer than the path of a socket can be");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoError(errno, "make a socket");
  // Holds for connect(2) too.
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return ErrnoError(errno, "connect");
  }
  return socket;
}

absl::Status SendWithDescriptor(int socket, absl::string_view text, int fd) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  bool first = true;
  while (!text.empty()) {
    iovec part{const_cast<char*>(text.data()), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (first) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    const ssize_t sent = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return ErrnoError(errno, "send");
    first = false;
    text.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SendListener(const SeccompListener& to, const HookState& state,
                          absl::string_view status, pid_t pid, UniqueFd listener) {
  const Json json = {{"ociVersion", state.oci_version},
                     {"fds", {"seccompFd"}},
                     {"pid", pid},
                     {"metadata", to.metadata},
                     {"state", StateToJson(state, status, pid)}};
  const auto send = [&]() -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd socket, Connect(to.path));
    return SendWithDescriptor(socket.get(), DumpJson(json), listener.get());
  };
  return Annotate(send(), absl::StrCat("linux.seccomp.listenerPath: ", to.path));
}

}  // namespace gantry::runtime
