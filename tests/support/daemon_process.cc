#include "tests/support/daemon_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"

namespace gantry::test {
namespace {

struct Spawned {
  pid_t pid = -1;
  UniqueFd pidfd;
};

absl::StatusOr<Spawned> Spawn(std::vector<std::string> arguments,
                              std::vector<std::string> environment, const std::string& log_path,
                              const std::string& notify_path) {
  arguments.insert(arguments.begin(), GANTRYD_PATH);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  environment.push_back("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  if (!notify_path.empty()) environment.push_back(absl::StrCat("NOTIFY_SOCKET=", notify_path));
  std::vector<char*> envp;
  for (std::string& variable : environment) envp.push_back(variable.data());
  envp.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  for (const int fd : {1, 2}) {
    posix_spawn_file_actions_addopen(&actions, fd, log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0600);
  }
  Spawned spawned;
  const int error =
      ::posix_spawn(&spawned.pid, GANTRYD_PATH, &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoError(error, "start " GANTRYD_PATH);
  // Our own child that nobody else waits for: the pid cannot be another's.
  spawned.pidfd = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, spawned.pid, 0)));
  if (!spawned.pidfd.valid()) return ErrnoError(errno, "pidfd_open");
  return spawned;
}

bool Readable(int fd, absl::Duration patience) {
  pollfd wanted = {.fd = fd, .events = POLLIN};
  return ::poll(&wanted, 1, static_cast<int>(absl::ToInt64Milliseconds(patience))) == 1;
}

absl::StatusOr<Ended> Reap(int pidfd, absl::Duration patience) {
  if (!Readable(pidfd, patience)) return absl::DeadlineExceededError("gantryd does not end");
  siginfo_t info = {};
  if (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) != 0) {
    return ErrnoError(errno, "wait for gantryd");
  }
  Ended ended;
  if (info.si_code == CLD_EXITED) {
    ended.exit_code = info.si_status;
  } else {
    ended.signal = info.si_status;
  }
  return ended;
}

absl::StatusOr<UniqueFd> NotifySocket(const std::string& path) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ::unlink(path.c_str());
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    return ErrnoError(errno, absl::StrCat("bind ", path));
  }
  return fd;
}

// Until READY=1, or the process's end.
absl::Status AwaitReady(int notify, int pidfd) {
  pollfd wanted[2] = {{.fd = notify, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
  if (::poll(wanted, 2, 30000) <= 0) return absl::DeadlineExceededError("gantryd is never ready");
  if ((wanted[0].revents & POLLIN) == 0) return absl::UnavailableError("gantryd ended at start");
  char text[64];
  const ssize_t length = ::recv(notify, text, sizeof text, 0);
  if (absl::string_view(text, static_cast<size_t>(std::max<ssize_t>(length, 0))) != "READY=1") {
    return absl::InternalError("gantryd said something other than READY=1");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<DaemonProcess>> DaemonProcess::Start(
    const std::vector<std::string>& extra_arguments) {
  GANTRY_ASSIGN_OR_RETURN(TempDir directory, TempDir::Create("gantryd-"));
  const std::string& path = directory.path();
  std::vector<std::string> arguments = {"--root",        path + "/root",  "--state",
                                        path + "/state", "--address",     path + "/g.sock",
                                        "--config",      path + "/c.toml"};
  GANTRY_RETURN_IF_ERROR(WriteFileAtomic(
      path + "/c.toml",
      absl::StrCat("version = 3\n[plugins.\"io.containerd.runtime.v2.task\"]\nshim = \"",
                   GANTRY_SHIM_PATH, "\"\n"),
      0600, Durability::kNotDurable));
  arguments.insert(arguments.end(), extra_arguments.begin(), extra_arguments.end());
  std::unique_ptr<DaemonProcess> process(
      new DaemonProcess(std::move(directory), std::move(arguments)));
  GANTRY_RETURN_IF_ERROR(process->Restart());
  return process;
}

absl::Status DaemonProcess::Restart() {
  const std::string notify_path = directory() + "/notify";
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd notify, NotifySocket(notify_path));
  GANTRY_ASSIGN_OR_RETURN(Spawned spawned,
                          Spawn(arguments_, environment_, directory() + "/log", notify_path));
  pid_ = spawned.pid;
  pidfd_ = std::move(spawned.pidfd);
  return Annotate(AwaitReady(notify.get(), pidfd_.get()), Log());
}

DaemonProcess::~DaemonProcess() {
  if (!pidfd_.valid()) return;
  Signal(SIGKILL);
  (void)Reap(pidfd_.get(), absl::Seconds(10));
}

std::shared_ptr<grpc::Channel> DaemonProcess::Channel() const {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetMaxSendMessageSize(-1);
  // Channels with equal arguments share a connection otherwise.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(absl::StrCat("unix:", address()),
                                   grpc::InsecureChannelCredentials(), arguments);
}

void DaemonProcess::Signal(int signal) {
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0);
}

absl::StatusOr<Ended> DaemonProcess::Wait(absl::Duration patience) {
  GANTRY_ASSIGN_OR_RETURN(Ended ended, Reap(pidfd_.get(), patience));
  pidfd_.reset();
  ended.log = Log();
  return ended;
}

std::string DaemonProcess::Log() const { return ReadFile(directory() + "/log").value_or(""); }

absl::StatusOr<Ended> DaemonProcess::Run(const std::vector<std::string>& arguments) {
  GANTRY_ASSIGN_OR_RETURN(const TempDir directory, TempDir::Create("gantryd-"));
  const std::string log = directory.path() + "/log";
  GANTRY_ASSIGN_OR_RETURN(const Spawned spawned, Spawn(arguments, {}, log, ""));
  absl::StatusOr<Ended> ended = Reap(spawned.pidfd.get(), absl::Seconds(20));
  if (!ended.ok()) {
    ::syscall(SYS_pidfd_send_signal, spawned.pidfd.get(), SIGKILL, nullptr, 0);
    (void)Reap(spawned.pidfd.get(), absl::Seconds(10));
    return ended.status();
  }
  ended->log = ReadFile(log).value_or("");
  return ended;
}

}  // namespace gantry::test
