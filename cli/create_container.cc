#include "cli/create_container.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdlib>

#include "absl/cleanup/cleanup.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"
#include "cli/console_socket.h"
#include "cli/errors.h"
#include "cli/inherited_fds.h"
#include "runtime/cgroup/systemd_scope.h"
#include "runtime/process/start_socket.h"

namespace gantry::cli {
namespace {

mode_t CurrentUmask() {
  const mode_t mask = ::umask(0);
  ::umask(mask);
  return mask;
}

struct Bundle {
  std::string path;
  std::string config;
  runtime::Spec spec;
};

absl::StatusOr<Bundle> ReadBundle(const std::string& given) {
  const std::string path = given.empty() ? "." : given;
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  if (real == nullptr) return ErrnoWords(errno, absl::StrCat("chdir ", path));
  Bundle bundle;
  bundle.path = real.get();
  absl::StatusOr<std::string> config = ReadFile(JoinPath(bundle.path, "config.json"));
  if (absl::IsNotFound(config.status())) {
    return absl::NotFoundError("JSON specification file config.json not found");
  }
  if (!config.ok()) return config.status();
  bundle.config = *std::move(config);
  GANTRY_ASSIGN_OR_RETURN(bundle.spec, runtime::ParseSpec(bundle.config));
  return bundle;
}

absl::Status CheckConsole(const runtime::Spec& spec, const CreateFlags& flags,
                          Attachment attachment) {
  const bool hands_over = attachment == Attachment::kDetached && spec.process.terminal;
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

ContainerRecord RecordOf(const GlobalOptions& global, const std::string& id, const Bundle& bundle,
                         const CreateFlags& flags) {
  ContainerRecord record;
  record.id = id;
  record.oci_version = bundle.spec.oci_version;
  record.bundle = bundle.path;
  const std::string& root = bundle.spec.root.path;
  record.rootfs = CleanPath(root[0] == '/' ? root : JoinPath(bundle.path, root));
  record.init.pid = 0;
  record.created = absl::Now();
  record.cgroups_path = bundle.spec.linux_.cgroups_path;
  record.systemd_cgroup = global.systemd_cgroup;
  record.no_new_keyring = flags.no_new_keyring;
  record.annotations = bundle.spec.annotations;
  return record;
}

}  // namespace

void AddCreateFlags(Flags& flags, CreateFlags* out) {
  flags.Text("--bundle,-b", &out->bundle);
  flags.Text("--console-socket", &out->console_socket);
  flags.Text("--pid-file", &out->pid_file);
  flags.Number("--preserve-fds", &out->preserve_fds);
  flags.Bool("--no-pivot", &out->no_pivot);
  flags.Bool("--no-new-keyring", &out->no_new_keyring);
}

absl::Status WritePidFile(const std::string& path, pid_t pid) {
  if (path.empty()) return absl::OkStatus();
  return WriteFileAtomic(path, absl::StrCat(pid), 0666 & ~CurrentUmask(), Durability::kNotDurable);
}

absl::StatusOr<CreatedContainer> CreateContainer(const GlobalOptions& global, const std::string& id,
                                                 const CreateFlags& flags, Attachment attachment) {
  GANTRY_ASSIGN_OR_RETURN(Bundle bundle, ReadBundle(flags.bundle));
  runtime::Spec& spec = bundle.spec;
  GANTRY_RETURN_IF_ERROR(CheckConsole(spec, flags, attachment));
  GANTRY_ASSIGN_OR_RETURN(const unsigned inherited,
                          InheritedFds(flags.preserve_fds, &spec.process.env));
  std::string& cgroups_path = spec.linux_.cgroups_path;
  const bool cgroup_optional = cgroups_path.empty() && IsRootless(global);
  if (cgroups_path.empty()) {
    // A scope of the system's slice, or, as with runc, below the caller's own cgroup.
    cgroups_path = global.systemd_cgroup ? absl::StrCat(":gantry:", id) : id;
  }
  if (global.systemd_cgroup) {
    GANTRY_RETURN_IF_ERROR(runtime::CheckSystemdCgroup(cgroups_path));
  }
  std::unique_ptr<Foreground> foreground;
  if (attachment == Attachment::kForeground) {
    GANTRY_ASSIGN_OR_RETURN(foreground, Foreground::Prepare(&spec.process));
  }
  const StateStore store(global.root);
  GANTRY_ASSIGN_OR_RETURN(ContainerDir dir, store.Make(id));
  absl::Cleanup remove_directory = [&dir] { dir.Remove().IgnoreError(); };

  // First of all what is about to be made, so that `delete` finds it if this process dies.
  ContainerRecord record = RecordOf(global, id, bundle, flags);
  if (record.cgroups_path[0] != '/') {
    GANTRY_ASSIGN_OR_RETURN(record.creator_cgroups, ReadFile("/proc/self/cgroup"));
  }
  GANTRY_RETURN_IF_ERROR(dir.WriteConfig(bundle.config));
  GANTRY_RETURN_IF_ERROR(dir.WriteRecord(record));
  GANTRY_ASSIGN_OR_RETURN(NotifySocket notify, NotifySocket::FromEnvironment(dir, &spec));

  runtime::CreateOptions options;
  UniqueFd listener;
  if (attachment == Attachment::kDetached) {
    GANTRY_ASSIGN_OR_RETURN(listener, runtime::ListenForStart(dir.path()));
    options.start_listener = listener.get();
  }
  auto seccomp = std::make_unique<runtime::SeccompCache>(SeccompCacheDirectory());
  options.id = id;
  options.bundle = bundle.path;
  options.spec = std::move(spec);
  options.stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  options.seccomp = seccomp.get();
  options.no_pivot = flags.no_pivot;
  options.no_new_keyring = flags.no_new_keyring;
  options.preserve_fds = inherited;
  options.cgroup_optional = cgroup_optional;
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<runtime::Container> container,
                          runtime::Container::Create(std::move(options)));
  CreatedContainer created{std::move(dir), std::move(seccomp),    std::move(container),
                           UniqueFd(),     std::move(foreground), std::move(notify)};
  std::move(remove_directory).Cancel();

  const absl::Status status = [&]() -> absl::Status {
    created.console = created.container->TakeConsole();
    if (!flags.console_socket.empty()) {
      GANTRY_RETURN_IF_ERROR(SendConsole(flags.console_socket, created.console));
      created.console.reset();
    }
    GANTRY_ASSIGN_OR_RETURN(record.init, runtime::IdentifyProcess(created.container->pid()));
    if (!created.container->has_cgroup()) record.cgroups_path.clear();
    GANTRY_RETURN_IF_ERROR(created.dir.WriteRecord(record));
    return WritePidFile(flags.pid_file, record.init.pid);
  }();
  if (status.ok()) return created;
  DiscardContainer(created).IgnoreError();
  return status;
}

absl::Status DiscardContainer(CreatedContainer& created) {
  KillAndReap(created.container->pidfd());
  GANTRY_RETURN_IF_ERROR(created.container->Destroy());
  return created.dir.Remove();
}

void KillAndReap(int pidfd) {
  ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0);
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED) < 0 && errno == EINTR) {
  }
}

}  // namespace gantry::cli
