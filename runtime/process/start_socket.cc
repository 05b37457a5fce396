#include "runtime/process/start_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"

namespace gantry::runtime {
namespace {

constexpr char kName[] = "start.sock";
constexpr int kWaiting = 16;  // `start` and those that look whether it may be called

struct Address {
  UniqueFd directory;  // open for as long as `name` is used
  sockaddr_un name{};
};

absl::StatusOr<Address> AddressIn(const std::string& directory) {
  Address address;
  GANTRY_ASSIGN_OR_RETURN(address.directory, OpenFile(directory, O_PATH | O_DIRECTORY));
  const std::string path = JoinPath(FdPath(address.directory.get()), kName);
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path, path.c_str(), path.size() + 1);
  return address;
}

absl::StatusOr<UniqueFd> MakeSocket(int flags) {
  UniqueFd made(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0));
  if (!made.valid()) return ErrnoError(errno, "make the start socket");
  return made;
}

}  // namespace

absl::StatusOr<UniqueFd> ListenForStart(const std::string& directory) {
  GANTRY_ASSIGN_OR_RETURN(const Address address, AddressIn(directory));
  GANTRY_ASSIGN_OR_RETURN(UniqueFd listener, MakeSocket(0));
  const auto* name = reinterpret_cast<const sockaddr*>(&address.name);
  if (::bind(listener.get(), name, sizeof address.name) != 0 ||
      ::listen(listener.get(), kWaiting) != 0) {
    const int error = errno == EADDRINUSE ? EEXIST : errno;
    return ErrnoError(error, absl::StrCat("listen on ", directory, "/", kName));
  }
  return listener;
}

absl::StatusOr<UniqueFd> ConnectForStart(const std::string& directory) {
  GANTRY_ASSIGN_OR_RETURN(const Address address, AddressIn(directory));
  GANTRY_ASSIGN_OR_RETURN(UniqueFd socket, MakeSocket(0));
  int result;
  do {
    result = ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.name),
                       sizeof address.name);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return socket;
  if (errno == ECONNREFUSED || errno == ENOENT) {
    return absl::NotFoundError(absl::StrCat("nobody listens on ", directory, "/", kName));
  }
  return ErrnoError(errno, absl::StrCat("connect to ", directory, "/", kName));
}

}  // namespace gantry::runtime
