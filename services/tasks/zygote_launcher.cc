#include "services/tasks/zygote_launcher.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/tasks/shim_client.h"

namespace gantry::tasks {
namespace {

// A listening socket at `path`, which only root may connect to. What stood there is removed.
absl::StatusOr<UniqueFd> Listen(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("shim socket ", path, ": longer than ",
                                                   sizeof(address.sun_path) - 1,
                                                   " bytes; choose a shorter state directory"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  GANTRY_RETURN_IF_ERROR(MakeDirectories(path.substr(0, path.rfind('/')), 0711));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoError(errno, "make a shim's socket");
  ::unlink(path.c_str());
  // Linux gives the name the mode of the unbound socket: it is never open to others, not even
  // between bind and chmod.
  if (::fchmod(fd.get(), 0600) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return ErrnoError(errno, absl::StrCat("bind shim socket ", path));
  }
  if (::listen(fd.get(), SOMAXCONN) != 0) {
    const int error = errno;
    ::unlink(path.c_str());
    return ErrnoError(error, absl::StrCat("listen on shim socket ", path));
  }
  return fd;
}

}  // namespace

absl::StatusOr<LaunchedShim> ZygoteLauncher::Launch(const LaunchRequest& request) {
  absl::StatusOr<LaunchedShim> launched = LaunchOnce(request);
  // The zygote was killed at it, and another one is there already.
  if (absl::IsUnavailable(launched.status())) launched = LaunchOnce(request);
  return launched;
}

void ZygoteLauncher::EndStray(const std::string& ns, const std::string& id) {
  const auto client = ttrpc::Client::Connect(loop_, bundles_.SocketPath(ns, id));
  if (!client.ok()) return;
  const auto shim = std::make_shared<ShimClient>(*client, ns);
  shim->Shutdown(id, true, [shim](const absl::Status&) {});
}

absl::StatusOr<LaunchedShim> ZygoteLauncher::LaunchOnce(const LaunchRequest& request) {
  const auto& [ns, id, bundle, binary, options] = request;
  LaunchedShim launched;
  launched.address.socket = bundles_.SocketPath(ns, id);
  GANTRY_ASSIGN_OR_RETURN(launched.address.boot_id, BootId());
  GANTRY_ASSIGN_OR_RETURN(UniqueFd listener, Listen(launched.address.socket));
  absl::StatusOr<runtime::ForkedShim> forked =
      zygote_.Fork({ns, id, bundle, ttrpc_address_, debug_, listener.get()});
  absl::Status status = Annotate(forked.status(), "start shim");
  if (status.ok()) {
    launched.pidfd = std::move(forked->pidfd);
    launched.address.pid = forked->pid;
    const absl::StatusOr<uint64_t> start_time = StartTimeOf(forked->pid);
    status = start_time.status();
    if (start_time.ok()) {
      launched.address.start_time = *start_time;
      // Before anything is asked of it: from here on a restart finds the shim.
      status = WriteAddress(bundle, launched.address);
    }
  }
  if (status.ok()) {
    absl::StatusOr<std::shared_ptr<ttrpc::Client>> client =
        ttrpc::Client::Connect(loop_, launched.address.socket);
    status = Annotate(client.status(), "connect to shim");
    if (client.ok()) launched.shim = std::make_shared<ShimClient>(*std::move(client), ns);
  }
  if (status.ok()) return launched;
  if (launched.pidfd.valid()) {
    ::syscall(SYS_pidfd_send_signal, launched.pidfd.get(), SIGKILL, nullptr, 0);
  } else {
    // Whether a zygote that ended had forked the shim is not known; without this end of it, only
    // that shim answers at its socket.
    listener.reset();
    EndStray(ns, id);
  }
  Forget(ns, id, bundle);
  return status;
}

absl::StatusOr<LaunchedShim> ZygoteLauncher::Reconnect(const std::string& ns, const std::string& id,
                                                       const std::string& bundle) {
  LaunchedShim found;
  absl::StatusOr<ShimAddress> address = ReadAddress(bundle);
  if (!address.ok()) {
    // The daemon died between forking the shim and writing down where it is. Nobody has asked it
    // for a container yet, and nobody else knows its socket.
    EndStray(ns, id);
    Forget(ns, id, bundle);
  }
  GANTRY_RETURN_IF_ERROR(Annotate(address.status(), "find shim"));
  found.address = *std::move(address);
  GANTRY_ASSIGN_OR_RETURN(const std::string boot_id, BootId());
  const auto dead = [&](absl::string_view why) {
    Forget(ns, id, bundle);
    return absl::NotFoundError(absl::StrCat("shim ", found.address.pid, " ", why));
  };
  if (found.address.boot_id != boot_id) return dead("was of an earlier boot");
  found.pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, found.address.pid, 0)));
  if (!found.pidfd.valid()) return dead("has ended");
  // Asked after the pidfd was taken: the two are of one process.
  const absl::StatusOr<uint64_t> start_time = StartTimeOf(found.address.pid);
  if (!start_time.ok() || *start_time != found.address.start_time) {
    return dead("has ended and its pid is another process's");
  }
  absl::StatusOr<std::shared_ptr<ttrpc::Client>> client =
      ttrpc::Client::Connect(loop_, found.address.socket);
  if (!client.ok()) {
    // It lives but cannot be asked for anything ever again.
    ::syscall(SYS_pidfd_send_signal, found.pidfd.get(), SIGKILL, nullptr, 0);
    return dead(absl::StrCat("does not listen: ", client.status().message()));
  }
  found.shim = std::make_shared<ShimClient>(*std::move(client), ns);
  return found;
}

void ZygoteLauncher::Forget(const std::string& ns, const std::string& id, const std::string&) {
  ::unlink(bundles_.SocketPath(ns, id).c_str());
}

absl::StatusOr<Exit> ZygoteLauncher::CleanUp(const std::string& ns, const std::string& id,
                                             const std::string& bundle) {
  Forget(ns, id, bundle);
  return Exit{ReadInitPid(bundle), 128 + SIGKILL, absl::Now()};
}

}  // namespace gantry::tasks
