// create, start, run, kill, delete, pause, resume: the life of a container.

#include <signal.h>
#include <sys/prctl.h>

#include "base/errors.h"
#include "base/log.h"
#include "cli/create_container.h"
#include "cli/flags.h"
#include "cli/foreground.h"
#include "cli/loaded_container.h"

namespace gantry::cli {
namespace {

absl::Status NotRunning() { return absl::FailedPreconditionError("container not running"); }

// The end of a foreground run; with `keep` the container stays, stopped.
absl::Status Finish(CreatedContainer& created, bool keep) {
  if (!keep) {
    GANTRY_RETURN_IF_ERROR(created.container->Destroy());
    return created.dir.Remove();
  }
  return created.container->KillAll(SIGKILL);
}

}  // namespace

absl::StatusOr<int> RunCreate(const GlobalOptions& global, const std::vector<std::string>& args) {
  CreateFlags create;
  Flags flags(Flags::Order::kAnywhere);
  AddCreateFlags(flags, &create);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("create", rest, 1, 1));
  GANTRY_ASSIGN_OR_RETURN(CreatedContainer created,
                          CreateContainer(global, rest[0], create, Attachment::kDetached));
  GANTRY_RETURN_IF_ERROR(created.container->Detach());
  return 0;
}

absl::StatusOr<int> RunStart(const GlobalOptions& global, const std::vector<std::string>& args) {
  Flags flags(Flags::Order::kAnywhere);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("start", rest, 1, 1));
  NotifySocket notify;
  pid_t pid = -1;
  UniqueFd pidfd;
  {
    // The lock is held no longer than the start itself takes.
    GANTRY_ASSIGN_OR_RETURN(LoadedContainer loaded,
                            LoadContainer(global, rest[0], StateStore::Lock::kExclusive));
    switch (loaded.status) {
      case ContainerStatus::kCreated:
        break;
      case ContainerStatus::kStopped:
        return absl::FailedPreconditionError("cannot start a container that has stopped");
      case ContainerStatus::kRunning:
        return absl::FailedPreconditionError("cannot start an already running container");
      default:
        return absl::FailedPreconditionError(
            absl::StrCat("cannot start a container in the ", StatusName(loaded.status), " state"));
    }
    GANTRY_ASSIGN_OR_RETURN(notify, NotifySocket::Find(loaded.dir));
    GANTRY_RETURN_IF_ERROR(notify.Listen());
    GANTRY_RETURN_IF_ERROR(loaded.container->Start());
    if (notify.empty()) return 0;
    GANTRY_ASSIGN_OR_RETURN(pidfd, runtime::OpenProcess(loaded.record.init));
    pid = loaded.record.init.pid;
  }
  GANTRY_RETURN_IF_ERROR(notify.ForwardReady(pid, pidfd.get()));
  return 0;
}

absl::StatusOr<int> RunRun(const GlobalOptions& global, const std::vector<std::string>& args) {
  CreateFlags create;
  bool detach = false;
  bool keep = false;
  bool no_subreaper = false;
  Flags flags(Flags::Order::kAnywhere);
  AddCreateFlags(flags, &create);
  flags.Bool("--detach,-d", &detach);
  flags.Bool("--keep", &keep);
  flags.Bool("--no-subreaper", &no_subreaper);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("run", rest, 1, 1));

  if (!detach && !no_subreaper && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return ErrnoError(errno, "become a subreaper");
  }
  GANTRY_ASSIGN_OR_RETURN(
      CreatedContainer created,
      CreateContainer(global, rest[0], create,
                      detach ? Attachment::kDetached : Attachment::kForeground));
  absl::Status started = created.notify.Listen();
  if (started.ok()) started = created.container->Start();
  if (!started.ok()) {
    DiscardContainer(created).IgnoreError();
    return started;
  }
  if (detach) {
    GANTRY_RETURN_IF_ERROR(
        created.notify.ForwardReady(created.container->pid(), created.container->pidfd()));
    return 0;
  }
  // Others may look, kill and exec now.
  created.dir.Unlock();
  const absl::StatusOr<int> exit_status =
      created.foreground->Wait(created.container->pid(), created.container->pidfd(),
                               std::move(created.console), &created.notify);
  const absl::Status finished = Finish(created, keep);
  if (!exit_status.ok()) return exit_status.status();
  // The process's own end is the answer; what is left behind is told beside it.
  if (!finished.ok()) LogError(finished.message());
  return *exit_status;
}

absl::StatusOr<int> RunKill(const GlobalOptions& global, const std::vector<std::string>& args) {
  bool all = false;
  Flags flags(Flags::Order::kAnywhere);
  flags.Bool("--all,-a", &all);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("kill", rest, 1, 2));
  GANTRY_ASSIGN_OR_RETURN(LoadedContainer loaded, LoadContainer(global, rest[0]));
  const bool named = rest.size() == 2 && !rest[1].empty();
  GANTRY_ASSIGN_OR_RETURN(const int signal, ParseSignal(named ? rest[1] : "TERM"));
  if (all) {
    GANTRY_RETURN_IF_ERROR(loaded.container->KillAll(signal));
    return 0;
  }
  const absl::Status sent =
      loaded.container->HasEnded() ? NotRunning() : loaded.container->Kill(signal);
  if (absl::IsNotFound(sent)) return NotRunning();
  GANTRY_RETURN_IF_ERROR(sent);
  return 0;
}

absl::StatusOr<int> RunDelete(const GlobalOptions& global, const std::vector<std::string>& args) {
  bool force = false;
  Flags flags(Flags::Order::kAnywhere);
  flags.Bool("--force,-f", &force);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("delete", rest, 1, 1));
  absl::StatusOr<LoadedContainer> loaded =
      LoadContainer(global, rest[0], StateStore::Lock::kExclusive);
  if (absl::IsNotFound(loaded.status())) {
    // What a creator left that died before it had written anything.
    const absl::StatusOr<ContainerDir> rest_of_it =
        StateStore(global.root).Open(rest[0], StateStore::Lock::kExclusive);
    if (rest_of_it.ok()) GANTRY_RETURN_IF_ERROR(rest_of_it->Remove());
    if (force) return 0;
  }
  if (!loaded.ok()) return loaded.status();
  const bool may = force || loaded->status == ContainerStatus::kStopped ||
                   loaded->status == ContainerStatus::kCreated;
  if (!may) {
    return absl::FailedPreconditionError(absl::StrCat(
        "cannot delete container ", rest[0], " that is not stopped: ", StatusName(loaded->status)));
  }
  GANTRY_RETURN_IF_ERROR(DestroyContainer(*loaded));
  return 0;
}

absl::StatusOr<int> RunPause(const GlobalOptions& global, const std::vector<std::string>& args) {
  Flags flags(Flags::Order::kAnywhere);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("pause", rest, 1, 1));
  GANTRY_ASSIGN_OR_RETURN(LoadedContainer loaded, LoadContainer(global, rest[0]));
  if (loaded.status != ContainerStatus::kRunning && loaded.status != ContainerStatus::kCreated) {
    return NotRunning();
  }
  GANTRY_RETURN_IF_ERROR(loaded.container->Pause());
  return 0;
}

absl::StatusOr<int> RunResume(const GlobalOptions& global, const std::vector<std::string>& args) {
  Flags flags(Flags::Order::kAnywhere);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("resume", rest, 1, 1));
  GANTRY_ASSIGN_OR_RETURN(LoadedContainer loaded, LoadContainer(global, rest[0]));
  if (loaded.status != ContainerStatus::kPaused) {
    return absl::FailedPreconditionError("container not paused");
  }
  GANTRY_RETURN_IF_ERROR(loaded.container->Resume());
  return 0;
}

}  // namespace gantry::cli
