#include "cli/console_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"
#include "cli/errors.h"

namespace gantry::cli {
namespace {

// What the master of every terminal is called.
constexpr char kMasterName[] = "/dev/ptmx";

absl::StatusOr<UniqueFd> Connect(const std::string& path) {
  UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection.valid()) return ErrnoError(errno, "make a socket");
  // Through a descriptor: the path may be longer than a socket's address.
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd parent, OpenFile(directory, O_PATH | O_DIRECTORY));
  const std::string near = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::string short_path = JoinPath(FdPath(parent.get()), near);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (short_path.size() >= sizeof address.sun_path) return ErrnoError(ENAMETOOLONG, path);
  std::memcpy(address.sun_path, short_path.c_str(), short_path.size() + 1);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    return ErrnoWords(errno, absl::StrCat("dial unix ", path, ": connect"));
  }
  return connection;
}

}  // namespace

absl::Status SendConsole(const std::string& path, const UniqueFd& master) {
  if (!master.valid()) return absl::InternalError("console socket: the process has no terminal");
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd connection, Connect(path));
  iovec part{const_cast<char*>(kMasterName), sizeof kMasterName - 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = master.get();
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  ssize_t sent;
  do {
    sent = ::sendmsg(connection.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return ErrnoError(errno, absl::StrCat("send the terminal to ", path));
  return absl::OkStatus();
}

}  // namespace gantry::cli
