#include "cli/notify_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstdlib>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"

namespace gantry::cli {
namespace {

constexpr char kName[] = "notify.sock";
constexpr char kInContainer[] = "/run/notify";
constexpr size_t kMaxMessage = 4096;

absl::StatusOr<UniqueFd> MakeSocket() {
  UniqueFd made(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!made.valid()) return ErrnoError(errno, "make a notify socket");
  return made;
}

// "@name" is a socket without a file.
absl::Status SendTo(const std::string& path, absl::string_view message) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(absl::StrCat("NOTIFY_SOCKET: too long: ", path));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd socket, MakeSocket());
  if (::sendto(socket.get(), message.data(), message.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), size) < 0) {
    return ErrnoError(errno, absl::StrCat("notify ", path));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<NotifySocket> NotifySocket::FromEnvironment(const ContainerDir& dir,
                                                           runtime::Spec* spec) {
  NotifySocket notify;
  const char* const host = ::getenv("NOTIFY_SOCKET");
  if (host == nullptr || host[0] == '\0') return notify;
  notify.host_ = host;
  notify.directory_ = dir.notify_directory();
  if (::mkdir(notify.directory_.c_str(), 0755) != 0) {
    return ErrnoError(errno, absl::StrCat("make directory ", notify.directory_));
  }
  spec->mounts.push_back(runtime::SpecMount{
      kInContainer, "bind", notify.directory_, {"bind", "nosuid", "noexec", "nodev", "ro"}});
  spec->process.env.push_back(absl::StrCat("NOTIFY_SOCKET=", kInContainer, "/", kName));
  return notify;
}

absl::StatusOr<NotifySocket> NotifySocket::Find(const ContainerDir& dir) {
  NotifySocket notify;
  const char* const host = ::getenv("NOTIFY_SOCKET");
  struct stat status {};
  if (host == nullptr || host[0] == '\0' || ::stat(dir.notify_directory().c_str(), &status) != 0) {
    return notify;
  }
  notify.host_ = host;
  notify.directory_ = dir.notify_directory();
  return notify;
}

absl::Status NotifySocket::Listen() {
  if (empty()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd directory,
                          OpenFile(directory_, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  GANTRY_ASSIGN_OR_RETURN(socket_, MakeSocket());
  const std::string path = JoinPath(FdPath(directory.get()), kName);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  ::unlinkat(directory.get(), kName, 0);  // of a start that failed
  if (::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return ErrnoError(errno, absl::StrCat("listen on ", directory_, "/", kName));
  }
  // Whatever user the process is.
  if (::fchmodat(directory.get(), kName, 0777, 0) != 0) {
    return ErrnoError(errno, absl::StrCat("chmod ", directory_, "/", kName));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> NotifySocket::HandleMessage(pid_t pid) {
  char buffer[kMaxMessage];
  const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return false;
    return ErrnoError(errno, "read a notification of the container");
  }
  // Of all that a container may say only its readiness is believed: with the rest it could steer
  // the service that it runs in.
  for (const absl::string_view line : absl::StrSplit(
           absl::string_view(buffer, static_cast<size_t>(size)), '\n', absl::SkipEmpty())) {
    if (!absl::StartsWith(line, "READY=")) continue;
    GANTRY_RETURN_IF_ERROR(SendTo(host_, line));
    // Apart, since a manager may refuse a main process that it does not know.
    GANTRY_RETURN_IF_ERROR(SendTo(host_, absl::StrCat("MAINPID=", pid)));
    return true;
  }
  return false;
}

absl::Status NotifySocket::ForwardReady(pid_t pid, int pidfd) {
  if (!socket_.valid()) return absl::OkStatus();
  for (;;) {
    pollfd waited[2] = {{socket_.get(), POLLIN, 0}, {pidfd, POLLIN, 0}};
    if (::poll(waited, 2, -1) < 0 && errno != EINTR) {
      return ErrnoError(errno, "wait for the container's notification");
    }
    if (waited[0].revents != 0) {
      GANTRY_ASSIGN_OR_RETURN(const bool done, HandleMessage(pid));
      if (done) return absl::OkStatus();
    } else if (waited[1].revents != 0) {
      return absl::OkStatus();
    }
  }
}

}  // namespace gantry::cli
