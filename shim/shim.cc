#include "shim/shim.h"

#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "shim/event_queue.h"
#include "shim/publish_binary.h"
#include "shim/socket_address.h"
#include "shim/task_service.h"
#include "ttrpc/server.h"

namespace gantry::shim {
namespace {

constexpr absl::Duration kShutdownLimit = absl::Seconds(5);
constexpr absl::Duration kAbandonedLook = absl::Seconds(15);

int child_event = -1;

// Handlers rather than SIG_IGN or a blocked mask: execve(2) resets them, so that the container's
// processes inherit nothing.
void HandleChild(int) {
  const int saved = errno;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t wrote = ::write(child_event, &one, sizeof one);
  errno = saved;
}
void HandlePipe(int) {}

absl::Status InstallHandlers() {
  child_event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (child_event < 0) return ErrnoError(errno, "create an eventfd");
  struct sigaction action {};
  action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
  action.sa_handler = HandleChild;
  ::sigaction(SIGCHLD, &action, nullptr);
  action.sa_handler = HandlePipe;
  ::sigaction(SIGPIPE, &action, nullptr);
  return absl::OkStatus();
}

// Ends the loop when all answers have been read and all events told, or the time is up.
void StopWhenQuiet(EventLoop& loop, const ttrpc::Server& server, const EventQueue& events,
                   absl::Time limit) {
  if ((server.Idle() && events.size() == 0) || absl::Now() >= limit) return loop.Stop();
  loop.After(absl::Milliseconds(10),
             [&loop, &server, &events, limit] { StopWhenQuiet(loop, server, events, limit); });
}

// While nobody looks for it (socket_address.h).
void RemoveSocket(const std::string& path) {
  if (path.empty()) return;
  const absl::StatusOr<UniqueFd> lock = LockSockets();
  ::unlink(path.c_str());
}

// Ends a shim that has no container and that nobody has been connected to for two looks in a row:
// its daemon died between deleting the container and asking the shim to end. Looks only while there
// is no container.
class Abandonment {
 public:
  Abandonment(EventLoop& loop, const ttrpc::Server& server, std::function<void()> end)
      : loop_(loop), server_(server), end_(std::move(end)) {}

  void Watch() {
    if (look_ == 0) look_ = loop_.After(kAbandonedLook, [this] { Look(); });
  }
  // There is a container: nothing is to be woken up for.
  void Rest() {
    loop_.Cancel(std::exchange(look_, 0));
    alone_ = false;
  }

 private:
  void Look() {
    look_ = 0;
    if (server_.connections() != 0) {
      alone_ = false;
    } else if (std::exchange(alone_, true)) {
      return end_();
    }
    Watch();
  }

  EventLoop& loop_;
  const ttrpc::Server& server_;
  const std::function<void()> end_;
  EventLoop::TimerId look_ = 0;
  bool alone_ = false;
};

absl::Status Serve(ShimConfig& config) {
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 10);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  SetLogLevel(config.debug ? LogLevel::kDebug : LogLevel::kInfo);
  GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<EventLoop> loop, EventLoop::Create());
  GANTRY_RETURN_IF_ERROR(InstallHandlers());
  ttrpc::Server server(*loop, {.root_peers_only = true});
  PublishBinary publisher(config.publish_binary, config.daemon_address);
  EventQueue events(*loop, config.ttrpc_address, config.ns,
                    config.publish_binary.empty() ? nullptr : &publisher,
                    config.daemon_keeps_order ? EventQueue::kInFlight : EventQueue::kOneAtATime);
  bool ending = false;
  const auto end = [&] {
    if (std::exchange(ending, true)) return;
    // Before the caller hears that it ends: the next "start" makes a new one.
    RemoveSocket(config.own_socket);
    StopWhenQuiet(*loop, server, events, absl::Now() + kShutdownLimit);
  };
  TaskService service(*loop, events, config.ns, end);
  Abandonment abandonment(*loop, server, end);
  service.OnEmpty([&abandonment] { abandonment.Watch(); });
  service.OnOccupied([&abandonment] { abandonment.Rest(); });
  GANTRY_RETURN_IF_ERROR(loop->Add(child_event, EPOLLIN, [&service](uint32_t) {
    uint64_t count;
    if (::read(child_event, &count, sizeof count) > 0) service.Reap();
  }));
  service.OnOtherChild(
      [&publisher](pid_t pid, uint32_t status) { publisher.HandleChild(pid, status); });
  service.RegisterOn(server);
  GANTRY_RETURN_IF_ERROR(server.Serve(std::move(config.listener)));
  abandonment.Watch();
  loop->Run();
  return absl::OkStatus();
}

}  // namespace

std::string SocketPathOf(int listener) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  if (::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) return "";
  return std::string(address.sun_path, ::strnlen(address.sun_path, sizeof address.sun_path));
}

int RunShim(ShimConfig config) {
  const absl::Status status = Serve(config);
  if (status.ok()) return 0;
  RemoveSocket(config.own_socket);
  LogError(status.message());
  return 1;
}

}  // namespace gantry::shim
