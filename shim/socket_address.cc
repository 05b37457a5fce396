#include "shim/socket_address.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"

namespace gantry::shim {
namespace {

constexpr char kDirectory[] = "/run/gantry/s";
constexpr size_t kHashDigits = 40;

absl::StatusOr<sockaddr_un> AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(absl::StrCat("socket path ", path, " is too long"));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

absl::StatusOr<UniqueFd> NewSocket() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoError(errno, "make a unix socket");
  return fd;
}

}  // namespace

std::string GroupSocketPath(const std::string& daemon, const std::string& ns,
                            const std::string& group) {
  // A namespace has no slash, so different groups have different names before hashing.
  const std::string hex(Sha256(absl::StrCat(daemon, "\n", ns, "/", group)).hex());
  return absl::StrCat(kDirectory, "/", hex.substr(0, kHashDigits));
}

absl::StatusOr<std::string> GroupOf(const std::string& id) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile("config.json"));
  GANTRY_ASSIGN_OR_RETURN(const Json config, ParseJson(text, "config.json"));
  if (!config.is_object()) return id;
  const auto annotations = config.find("annotations");
  if (annotations == config.end() || !annotations->is_object()) return id;
  for (const char* name : {"io.containerd.runc.v2.group", "io.kubernetes.cri.sandbox-id"}) {
    const auto found = annotations->find(name);
    if (found != annotations->end() && found->is_string() &&
        !found->get_ref<const std::string&>().empty()) {
      return found->get<std::string>();
    }
  }
  return id;
}

absl::StatusOr<UniqueFd> LockSockets() {
  GANTRY_RETURN_IF_ERROR(MakeDirectories(kDirectory, 0711));
  GANTRY_ASSIGN_OR_RETURN(UniqueFd directory, OpenFile(kDirectory, O_RDONLY | O_DIRECTORY));
  while (::flock(directory.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return ErrnoError(errno, absl::StrCat("lock ", kDirectory));
  }
  return directory;
}

absl::StatusOr<UniqueFd> ConnectTo(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) return ErrnoError(errno, absl::StrCat("connect to ", path));
  }
  return fd;
}

absl::StatusOr<UniqueFd> ListenAt(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  ::unlink(path.c_str());
  // Linux gives the name the mode of the unbound socket: it is never open to others.
  if (::fchmod(fd.get(), 0600) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0) {
    return ErrnoError(errno, absl::StrCat("listen at ", path));
  }
  return fd;
}

}  // namespace gantry::shim
