#include "cli/help.h"

#include <unistd.h>

#include <climits>
#include <cstdio>

#include "base/errors.h"
#include "base/path.h"
#include "cli/state_store.h"

namespace gantry::cli {
namespace {

constexpr char kCreateFlags[] =
    "   --bundle DIR, -b DIR     the bundle, by default the working directory\n"
    "   --console-socket PATH    where the terminal's master is sent to\n"
    "   --pid-file PATH          gets the pid of the container's init\n"
    "   --preserve-fds N         hand on N descriptors beside the standard ones and $LISTEN_FDS\n"
    "   --no-pivot               move the root instead of pivot_root(2): for an initramfs\n"
    "   --no-new-keyring         stay in the caller's session keyring\n";

constexpr char kRunFlags[] =
    "   --detach, -d             return once the process runs\n"
    "   --keep                   do not delete the container when it has ended\n"
    "   --no-subreaper           leave orphans of the container to others\n"
    "   and the flags of create\n";

constexpr char kExecFlags[] =
    "   --process FILE, -p FILE  the process, as in config.json\n"
    "   --cwd DIR, --env K=V, --user UID[:GID], --additional-gids GID, --cap CAP\n"
    "   --tty, -t                give it a terminal\n"
    "   --detach, -d             return once the process runs\n"
    "   --pid-file PATH, --console-socket PATH, --preserve-fds N\n"
    "   --no-new-privs, --apparmor PROFILE, --process-label LABEL\n"
    "   --ignore-paused          also in a paused container, which lets it wait\n";

constexpr char kUpdateFlags[] =
    "   --resources FILE, -r FILE  limits as in config.json's linux.resources; '-' is standard "
    "input\n"
    "   --memory, --memory-reservation, --memory-swap BYTES (or 64M, 1G; -1: unlimited)\n"
    "   --cpu-period, --cpu-quota, --cpu-share, --cpu-rt-period, --cpu-rt-runtime N\n"
    "   --cpuset-cpus, --cpuset-mems LIST, --pids-limit N, --blkio-weight N\n";

constexpr Command kCommands[] = {
    {"checkpoint", "checkpoint a running container (needs criu)", "[flags] ID", "", RunCheckpoint},
    {"create", "create a container", "[flags] ID", kCreateFlags, RunCreate,
     "gantry-oci create failed: "},
    {"delete", "remove a container that has ended", "[flags] ID",
     "   --force, -f              kill it first if it runs\n", RunDelete},
    {"events", "print statistics and out-of-memory events", "[flags] ID",
     "   --stats                  print the statistics once\n"
     "   --interval DURATION      how often they are printed (5s)\n",
     RunEvents},
    {"exec", "run another process in a container", "[flags] ID PROGRAM [ARG...] | -p FILE ID",
     kExecFlags, RunExec, "exec failed: ", 255},
    {"features", "print what this runtime can do, as JSON", "", "", RunFeatures},
    {"kill", "send a signal (SIGTERM) to a container's init", "[flags] ID [SIGNAL]",
     "   --all, -a                to all its processes\n", RunKill},
    {"list", "list the containers of this root", "[flags]",
     "   --format FORMAT, -f      table or json\n"
     "   --quiet, -q              ids alone\n",
     RunList},
    {"pause", "suspend all processes of a container", "ID", "", RunPause},
    {"ps", "list the processes of a container", "[flags] ID [ARG of ps...]",
     "   --format FORMAT, -f      table or json\n", RunPs},
    {"restore", "restore a container from a checkpoint (needs criu)", "[flags] ID", "", RunRestore},
    {"resume", "let a paused container go on", "ID", "", RunResume},
    {"run", "create and start a container and wait for it", "[flags] ID", kRunFlags, RunRun,
     "gantry-oci run failed: "},
    {"spec", "write a config.json to begin with", "[flags]",
     "   --bundle DIR, -b DIR     where to\n"
     "   --rootless               for a user who is not root\n",
     RunSpec},
    {"start", "start a container that was created", "ID", "", RunStart},
    {"state", "print the state of a container as JSON", "ID", "", RunState},
    {"update", "change a container's limits", "[flags] ID", kUpdateFlags, RunUpdate},
};

}  // namespace

const Command* FindCommand(const std::string& name) {
  for (const Command& command : kCommands) {
    if (name == command.name) return &command;
  }
  return nullptr;
}

void PrintHelp(const Command& command) {
  std::printf("NAME:\n   gantry-oci %s - %s\n\nUSAGE:\n   gantry-oci %s %s\n", command.name,
              command.summary, command.name, command.usage);
  if (command.flags[0] != '\0') std::printf("\nOPTIONS:\n%s", command.flags);
}

void PrintOverview() {
  std::printf(
      "NAME:\n   gantry-oci - OCI runtime of gantry, called as runc is\n\n"
      "USAGE:\n   gantry-oci [global options] COMMAND [options] [arguments]\n\nCOMMANDS:\n");
  for (const Command& command : kCommands) {
    std::printf("   %-12s%s\n", command.name, command.summary);
  }
  std::printf(
      "\nGLOBAL OPTIONS:\n"
      "   --root DIR               where the state of containers is kept (/run/gantry-oci)\n"
      "   --log FILE               where log lines go, by default standard error\n"
      "   --log-format FORMAT      text or json\n"
      "   --debug                  log more\n"
      "   --systemd-cgroup         cgroups by systemd: cgroupsPath is slice:prefix:name\n"
      "   --rootless VALUE         true, false or auto: whether cgroups may be missing\n"
      "   --criu PATH              the criu program\n"
      "   --version, -v            print the version\n");
}

absl::Status UsageError(absl::string_view message) {
  absl::Status status = absl::InvalidArgumentError(message);
  status.SetPayload("gantry-oci/usage", absl::Cord());
  return status;
}

bool IsUsageError(const absl::Status& status) {
  return status.GetPayload("gantry-oci/usage").has_value();
}

absl::Status CheckArgs(absl::string_view command, const std::vector<std::string>& args,
                       size_t at_least, size_t at_most) {
  if (args.size() >= at_least && args.size() <= at_most) return absl::OkStatus();
  const bool exact = at_least == at_most;
  const bool too_few = args.size() < at_least;
  return UsageError(absl::StrCat("gantry-oci: \"", command, "\" requires ",
                                 exact     ? "exactly "
                                 : too_few ? "a minimum of "
                                           : "a maximum of ",
                                 too_few ? at_least : at_most, " argument(s)"));
}

bool IsRootless(const GlobalOptions& global) {
  if (global.rootless == "true") return true;
  if (global.rootless == "false") return false;
  return ::geteuid() != 0 || InUserNamespace();
}

absl::Status MakeRootAbsolute(GlobalOptions* global) {
  if (global->root.empty()) return absl::InvalidArgumentError("--root: empty");
  if (global->root[0] != '/') {
    char here[PATH_MAX];
    if (::getcwd(here, sizeof here) == nullptr) {
      return ErrnoError(errno, "find the working directory");
    }
    global->root = JoinPath(here, global->root);
  }
  global->root = CleanPath(global->root);
  return absl::OkStatus();
}

}  // namespace gantry::cli
