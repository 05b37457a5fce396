#include <fcntl.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/identifiers.h"
#include "base/json.h"
#include "base/path.h"
#include "shim/commands.h"
#include "shim/shim.h"
#include "shim/socket_address.h"

namespace gantry::shim {
namespace {

constexpr int kListenerFd = 3;
constexpr int kNewestVersion = 3;

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// This program through a mount of its own that is read-only and that no path leads to, so that no
// container can open /proc/PID/exe for writing (CVE-2019-5736). The pages are those of the file, so
// that shims share them.
absl::StatusOr<UniqueFd> OpenSelf() {
  UniqueFd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, "/proc/self/exe", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree.valid()) return ErrnoError(errno, "clone the mount of the shim's program");
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::syscall(SYS_mount_setattr, tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) !=
      0) {
    return ErrnoError(errno, "make the mount of the shim's program read-only");
  }
  return tree;
}

// Where the shim's log goes: the bundle's FIFO, which the daemon reads. Never waits for a reader.
UniqueFd OpenLog() {
  absl::StatusOr<UniqueFd> log = OpenFile("log", O_WRONLY | O_NONBLOCK);
  if (!log.ok()) log = OpenFile("log", O_RDWR | O_NONBLOCK);
  if (!log.ok()) log = OpenFile("/dev/null", O_WRONLY);
  return log.ok() ? *std::move(log) : UniqueFd();
}

absl::Status SpawnShim(const ShimArguments& arguments, const std::string& group,
                       const std::string& socket, const UniqueFd& listener) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd self, OpenSelf());
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd null, OpenFile("/dev/null", O_RDWR));
  const UniqueFd log = OpenLog();
  // Out of the way of the descriptors that the shim gets.
  const UniqueFd listening(::fcntl(listener.get(), F_DUPFD_CLOEXEC, kListenerFd + 1));
  const UniqueFd logging(::fcntl(log.get(), F_DUPFD_CLOEXEC, kListenerFd + 1));
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, null.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, null.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, logging.get(), 2);
  ::posix_spawn_file_actions_adddup2(&actions, listening.get(), kListenerFd);
  // The bundle goes before a shim of several containers does.
  ::posix_spawn_file_actions_addchdir_np(&actions, "/");
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  std::vector<std::string> texts = {"containerd-shim-gantry-v1",
                                    "-namespace",
                                    arguments.ns,
                                    "-id",
                                    group,
                                    "-address",
                                    arguments.address,
                                    "-publish-binary",
                                    arguments.publish_binary,
                                    "-socket",
                                    socket};
  if (arguments.debug) texts.emplace_back("-debug");
  texts.emplace_back("serve");
  std::vector<char*> argv;
  for (std::string& text : texts) argv.push_back(text.data());
  argv.push_back(nullptr);
  std::string variables[] = {absl::StrCat("PATH=", Environment("PATH")),
                             absl::StrCat("TTRPC_ADDRESS=", Environment("TTRPC_ADDRESS"))};
  char* const environment[] = {variables[0].data(), variables[1].data(), nullptr};
  const std::string program = FdPath(self.get());
  pid_t pid;
  const int error =
      ::posix_spawn(&pid, program.c_str(), &actions, &attributes, argv.data(), environment);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? absl::OkStatus() : ErrnoError(error, "start the shim");
}

// containerd 1.x reads a plain address; later ones say how much they know.
std::string AnswerOf(const std::string& address) {
  int newest = 0;
  if (!absl::SimpleAtoi(Environment("MAX_SHIM_VERSION"), &newest) || newest < 2) return address;
  return DumpJson(
      {{"version", std::min(newest, kNewestVersion)}, {"address", address}, {"protocol", "ttrpc"}});
}

absl::StatusOr<std::string> Start(const ShimArguments& arguments) {
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("-namespace", arguments.ns));
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("-id", arguments.id));
  GANTRY_ASSIGN_OR_RETURN(const std::string group, GroupOf(arguments.id));
  const std::string socket = GroupSocketPath(arguments.address, arguments.ns, group);
  const std::string address = absl::StrCat("unix://", socket);
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd lock, LockSockets());
  if (!ConnectTo(socket).ok()) {
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd listener, ListenAt(socket));
    if (absl::Status spawned = SpawnShim(arguments, group, socket, listener); !spawned.ok()) {
      ::unlink(socket.c_str());
      return spawned;
    }
  }
  // For a containerd 1.x that starts again.
  GANTRY_RETURN_IF_ERROR(WriteFileAtomic("address", address, 0600, Durability::kNotDurable));
  return AnswerOf(address);
}

}  // namespace

int RunStart(const ShimArguments& arguments) {
  const absl::StatusOr<std::string> answer = Start(arguments);
  if (!answer.ok()) {
    std::fprintf(stderr, "%s\n", std::string(answer.status().message()).c_str());
    return 1;
  }
  return WriteAll(STDOUT_FILENO, *answer, "standard output").ok() ? 0 : 1;
}

int RunServe(const ShimArguments& arguments) {
  ::fcntl(kListenerFd, F_SETFD, FD_CLOEXEC);
  ::syscall(SYS_close_range, kListenerFd + 1, ~0u, 0);
  ShimConfig config;
  config.ns = arguments.ns;
  config.id = arguments.id;
  config.ttrpc_address = Environment("TTRPC_ADDRESS");
  config.daemon_address = arguments.address;
  config.publish_binary = arguments.publish_binary;
  config.own_socket = arguments.socket;
  config.debug = arguments.debug;
  config.listener.reset(kListenerFd);
  return RunShim(std::move(config));
}

}  // namespace gantry::shim
