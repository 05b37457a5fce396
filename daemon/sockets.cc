#include "daemon/sockets.h"

#include <netdb.h>
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

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

absl::StatusOr<AddressList> Resolve(const std::string& host, uint16_t port,
                                    const addrinfo& wanted) {
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found);
  if (error == EAI_SYSTEM) return ErrnoError(errno, absl::StrCat("look up ", host));
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat("look up ", host, ": ", ::gai_strerror(error)));
  }
  return AddressList(found, &::freeaddrinfo);
}

absl::StatusOr<UniqueFd> ListenAt(const addrinfo& address) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "make a socket");
  // A daemon that starts again need not wait for connections of its last life.
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0) return ErrnoError(errno, "bind");
  if (::listen(fd.get(), SOMAXCONN) != 0) return ErrnoError(errno, "listen");
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

absl::StatusOr<UniqueFd> ListenTcp(const TcpAddress& address) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  // "::" takes IPv4 as well, where the machine has IPv6.
  const bool all = address.host.empty();
  GANTRY_ASSIGN_OR_RETURN(const AddressList addresses,
                          Resolve(all ? "::" : address.host, address.port, wanted));
  absl::Status status;
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    absl::StatusOr<UniqueFd> fd = ListenAt(*at);
    if (fd.ok()) return fd;
    if (status.ok()) status = fd.status();
  }
  if (const int error = ErrnoOf(status); all && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)) {
    return ListenTcp({"0.0.0.0", address.port});
  }
  return Annotate(status, absl::StrCat("listen at ", address.host, ":", address.port));
}

absl::StatusOr<std::string> LocalAddressOf(const UniqueFd& socket) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
    return ErrnoError(errno, "ask a socket for its address");
  }
  char host[NI_MAXHOST];
  char port[NI_MAXSERV];
  const int error = ::getnameinfo(reinterpret_cast<const sockaddr*>(&storage), length, host,
                                  sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
  if (error != 0) {
    return absl::InternalError(absl::StrCat("write out an address: ", ::gai_strerror(error)));
  }
  return storage.ss_family == AF_INET6 ? absl::StrCat("[", host, "]:", port)
                                       : absl::StrCat(host, ":", port);
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
