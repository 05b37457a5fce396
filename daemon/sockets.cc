#include "daemon/sockets.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"

namespace gantry::daemon {
namespace {

struct Address {
  sockaddr_un storage{};
  socklen_t length = 0;
  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// `path` may be abstract ("@name"), as NOTIFY_SOCKET allows.
absl::StatusOr<Address> AddressOf(absl::string_view path) {
  Address address;
  address.storage.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.storage.sun_path) {
    return absl::InvalidArgumentError(absl::StrCat("socket path ", path, " is too long"));
  }
  std::memcpy(address.storage.sun_path, path.data(), path.size());
  const bool abstract = !path.empty() && path.front() == '@';
  if (abstract) address.storage.sun_path[0] = '\0';
  address.length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  return address;
}

absl::StatusOr<UniqueFd> NewSocket(int type) {
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "make a unix socket");
  return fd;
}

}  // namespace

absl::Status PrepareSocketPath(const std::string& path) {
  GANTRY_RETURN_IF_ERROR(MakeDirectories(path.substr(0, path.rfind('/')), 0711));
  struct stat info;
  if (::lstat(path.c_str(), &info) != 0) {
    return errno == ENOENT ? absl::OkStatus() : ErrnoError(errno, absl::StrCat("stat ", path));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen at ", path, ": a file that is no socket is there"));
  }
  GANTRY_ASSIGN_OR_RETURN(const Address address, AddressOf(path));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd probe, NewSocket(SOCK_STREAM));
  // EAGAIN means a full backlog, so a listener.
  if (::connect(probe.get(), address.get(), address.length) == 0 || errno == EAGAIN) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen at ", path, ": another process answers there"));
  }
  if (errno != ECONNREFUSED) return ErrnoError(errno, absl::StrCat("connect to ", path));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, absl::StrCat("remove stale socket ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ListenUnix(const Endpoint& endpoint) {
  const std::string& path = endpoint.address;
  GANTRY_RETURN_IF_ERROR(PrepareSocketPath(path));
  GANTRY_ASSIGN_OR_RETURN(const Address address, AddressOf(path));
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket(SOCK_STREAM));
  // bind(2) makes the file with the socket inode's mode less the umask, so nobody else can connect
  // between bind and chown.
  if (::fchmod(fd.get(), 0600) != 0) return ErrnoError(errno, absl::StrCat("protect ", path));
  if (::bind(fd.get(), address.get(), address.length) != 0) {
    return ErrnoError(errno, absl::StrCat("bind ", path));
  }
  if (::chown(path.c_str(), endpoint.uid, endpoint.gid) != 0) {
    return ErrnoError(errno, absl::StrCat("give ", path, " to its owner"));
  }
  if (::chmod(path.c_str(), 0660) != 0) {
    return ErrnoError(errno, absl::StrCat("set the mode of ", path));
  }
  if (::listen(fd.get(), SOMAXCONN) != 0) {
    return ErrnoError(errno, absl::StrCat("listen at ", path));
  }
  return fd;
}

void NotifySupervisor(const char* state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return;
  const auto address = AddressOf(path);
  const auto fd = NewSocket(SOCK_DGRAM);
  if (!address.ok() || !fd.ok()) return;
  if (::sendto(fd->get(), state, std::strlen(state), MSG_NOSIGNAL, address->get(),
               address->length) < 0) {
    LogWarn("notify the supervisor", {{"socket", path}, {"error", std::strerror(errno)}});
  }
}

}  // namespace gantry::daemon
