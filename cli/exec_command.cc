#include <sys/prctl.h>
#include <unistd.h>

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "cli/console_socket.h"
#include "cli/create_container.h"
#include "cli/flags.h"
#include "cli/foreground.h"
#include "cli/inherited_fds.h"
#include "cli/loaded_container.h"
#include "runtime/spec/names.h"

namespace gantry::cli {
namespace {

struct ExecFlags {
  std::string process_file;
  std::string cwd;
  std::string user;
  std::string apparmor;
  std::string label;
  std::string pid_file;
  std::string console_socket;
  std::string cgroup;
  std::vector<std::string> env;
  std::vector<std::string> gids;
  std::vector<std::string> caps;
  int64_t preserve_fds = 0;
  bool tty = false;
  bool detach = false;
  bool no_new_privs = false;
  bool ignore_paused = false;
};

void AddFlags(Flags& flags, ExecFlags* out) {
  flags.Text("--process,-p", &out->process_file);
  flags.Text("--cwd", &out->cwd);
  flags.Text("--user,-u", &out->user);
  flags.Text("--apparmor", &out->apparmor);
  flags.Text("--process-label", &out->label);
  flags.Text("--pid-file", &out->pid_file);
  flags.Text("--console-socket", &out->console_socket);
  flags.Text("--cgroup", &out->cgroup);
  flags.Texts("--env,-e", &out->env);
  flags.Texts("--additional-gids,-g", &out->gids);
  flags.Texts("--cap,-c", &out->caps);
  flags.Number("--preserve-fds", &out->preserve_fds);
  flags.Bool("--tty,-t", &out->tty);
  flags.Bool("--detach,-d", &out->detach);
  flags.Bool("--no-new-privs", &out->no_new_privs);
  flags.Bool("--ignore-paused", &out->ignore_paused);
}

absl::StatusOr<uint32_t> ParseId(absl::string_view text, absl::string_view what) {
  uint32_t id = 0;
  if (absl::SimpleAtoi(text, &id)) return id;
  return absl::InvalidArgumentError(
      absl::StrCat("parsing ", text, " as int for ", what, " failed: invalid syntax"));
}

absl::Status SetUser(const ExecFlags& flags, runtime::User* user) {
  if (!flags.user.empty()) {
    const std::vector<std::string> parts = absl::StrSplit(flags.user, absl::MaxSplits(':', 1));
    GANTRY_ASSIGN_OR_RETURN(user->uid, ParseId(parts[0], "uid"));
    if (parts.size() > 1) {
      GANTRY_ASSIGN_OR_RETURN(user->gid, ParseId(parts[1], "gid"));
    }
  }
  for (const std::string& gid : flags.gids) {
    GANTRY_ASSIGN_OR_RETURN(const uint32_t id, ParseId(gid, "additional gid"));
    user->additional_gids.push_back(id);
  }
  return absl::OkStatus();
}

absl::Status AddCapabilities(const ExecFlags& flags, runtime::Process* process) {
  if (flags.caps.empty()) return absl::OkStatus();
  if (!process->capabilities.has_value()) process->capabilities.emplace();
  runtime::Capabilities& sets = *process->capabilities;
  for (const std::string& name : flags.caps) {
    const std::optional<int> number = runtime::CapabilityByName(name);
    if (!number.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat("--cap: unknown capability \"", name, "\""));
    }
    const uint64_t bit = uint64_t{1} << *number;
    // Not inheritable, and so not ambient either: a program with file capabilities would get more
    // than it should (CVE-2022-29162).
    sets.bounding |= bit;
    sets.effective |= bit;
    sets.permitted |= bit;
  }
  return absl::OkStatus();
}

// The container's own process with what the flags change in it, or what --process says.
absl::StatusOr<runtime::Process> ProcessOf(const ExecFlags& flags,
                                           const std::vector<std::string>& args,
                                           const runtime::Process& base) {
  if (!flags.process_file.empty()) {
    GANTRY_ASSIGN_OR_RETURN(const std::string json, ReadFile(flags.process_file));
    return runtime::ParseProcess(json);
  }
  runtime::Process process = base;
  process.args.assign(args.begin() + 1, args.end());
  if (process.args.empty()) return absl::InvalidArgumentError("process args cannot be empty");
  process.terminal = flags.tty;
  process.console_size.reset();
  if (!flags.cwd.empty()) process.cwd = flags.cwd;
  if (process.cwd[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("Cwd must be an absolute path: \"", process.cwd, "\""));
  }
  if (!flags.apparmor.empty()) process.apparmor_profile = flags.apparmor;
  if (!flags.label.empty()) process.selinux_label = flags.label;
  if (flags.no_new_privs) process.no_new_privileges = true;
  process.env.insert(process.env.end(), flags.env.begin(), flags.env.end());
  GANTRY_RETURN_IF_ERROR(AddCapabilities(flags, &process));
  GANTRY_RETURN_IF_ERROR(SetUser(flags, &process.user));
  return process;
}

absl::Status CheckState(const LoadedContainer& loaded, const ExecFlags& flags) {
  if (loaded.status == ContainerStatus::kStopped || loaded.status == ContainerStatus::kCreating) {
    return absl::FailedPreconditionError("cannot exec in a stopped container");
  }
  if (loaded.status == ContainerStatus::kPaused && !flags.ignore_paused) {
    return absl::FailedPreconditionError(
        "cannot exec in a paused container (use --ignore-paused to override)");
  }
  return absl::OkStatus();
}

absl::Status CheckConsole(const ExecFlags& flags, const runtime::Process& process) {
  const bool hands_over = flags.detach && process.terminal;
  if (hands_over && flags.console_socket.empty()) {
    return absl::InvalidArgumentError(
        "cannot allocate tty if runc will detach without setting console socket");
  }
  if (!hands_over && !flags.console_socket.empty()) {
    return absl::InvalidArgumentError(
        "cannot use console socket if runc will not detach or allocate tty");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<int> RunExec(const GlobalOptions& global, const std::vector<std::string>& args) {
  ExecFlags given;
  Flags flags(Flags::Order::kBeforeArguments);
  AddFlags(flags, &given);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("exec", rest, 1, SIZE_MAX));
  if (!given.cgroup.empty()) {
    return absl::UnimplementedError("--cgroup: sub-cgroups are not supported yet");
  }
  GANTRY_ASSIGN_OR_RETURN(LoadedContainer loaded, LoadContainer(global, rest[0]));
  GANTRY_RETURN_IF_ERROR(CheckState(loaded, given));
  GANTRY_ASSIGN_OR_RETURN(runtime::Process process, ProcessOf(given, rest, loaded.process));
  GANTRY_RETURN_IF_ERROR(CheckConsole(given, process));

  runtime::ExecOptions options;
  options.ignore_paused = given.ignore_paused;
  GANTRY_ASSIGN_OR_RETURN(options.preserve_fds, InheritedFds(given.preserve_fds, &process.env));
  std::unique_ptr<Foreground> foreground;
  if (!given.detach) {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
      return ErrnoError(errno, "become a subreaper");
    }
    GANTRY_ASSIGN_OR_RETURN(foreground, Foreground::Prepare(&process));
  }
  const runtime::Stdio stdio{STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  GANTRY_ASSIGN_OR_RETURN(runtime::ChildProcess child,
                          loaded.container->Exec(process, stdio, options));
  absl::Status status;
  if (!given.console_socket.empty()) {
    status = SendConsole(given.console_socket, child.console);
    child.console.reset();
  }
  if (status.ok()) status = WritePidFile(given.pid_file, child.pid);
  if (!status.ok()) {
    KillAndReap(child.pidfd.get());
    return status;
  }
  if (given.detach) return 0;
  return foreground->Wait(child.pid, child.pidfd.get(), std::move(child.console));
}

}  // namespace gantry::cli
