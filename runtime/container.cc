#include "runtime/container.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/path.h"
#include "base/start_trace.h"
#include "runtime/process/hooks.h"
#include "runtime/process/id_mapping.h"
#include "runtime/process/namespace_plan.h"
#include "runtime/process/net_devices.h"
#include "runtime/process/process_plan.h"
#include "runtime/process/scheduling.h"
#include "runtime/process/seccomp_listener.h"
#include "runtime/process/spawn.h"
#include "runtime/rootfs/rootfs_plan.h"

namespace gantry::runtime {

struct Container::State {
  std::string id;
  Linux linux_;
  std::optional<int> oom_score_adj;
  bool no_new_keyring = false;
  std::shared_ptr<const SeccompProgram> seccomp;
  // Of a loaded container: compiled when it is needed.
  std::optional<LinuxSeccomp> seccomp_profile;
  SeccompCache* seccomp_cache = nullptr;
  std::unique_ptr<Cgroup> cgroup;            // null: it is gone, or there never was one
  bool without_cgroup = false;               // there never was one
  std::optional<Cgroup::Entrance> entrance;  // of the last Exec
  std::unique_ptr<PlanBuilder> plan;         // of its creator, until Start
  std::string program;                       // of a loaded container, for messages
  Spawned init;
  UniqueFd mounts;  // the mount namespace
  UniqueFd root;    // in it
  bool started = false;
  SeccompListener listener;
  HookState hook_state;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;
};

namespace {

absl::Status CheckNamespaces(const Spec& spec) {
  const LinuxNamespace* mounts = spec.linux_.FindNamespace(NamespaceType::kMount);
  if (mounts == nullptr || !mounts->path.empty()) {
    return absl::UnimplementedError(
        "linux.namespaces: a container without a mount namespace of its own is not supported");
  }
  return CheckMappings(spec.linux_, spec.process.user);
}

// The child becomes a member of the cgroup before it does anything else. `entrance` stays open
// until the child was cloned.
void PlanEntrance(const Cgroup::Entrance& entrance, SpawnOptions* spawn, PlanBuilder* plan) {
  spawn->cgroup_fd = entrance.unified_dir;
  for (const Cgroup::Entrance::TasksFile& tasks : entrance.tasks) {
    plan->AddFirst(JoinCgroup, "join cgroup", tasks.path, CgroupArgs{tasks.file.get()});
  }
}

absl::StatusOr<std::shared_ptr<const SeccompProgram>> CompileFilter(
    const std::optional<LinuxSeccomp>& profile, SeccompCache* cache) {
  if (!profile.has_value()) return std::shared_ptr<const SeccompProgram>();
  if (cache != nullptr) return cache->Compile(*profile);
  GANTRY_ASSIGN_OR_RETURN(SeccompProgram program, CompileSeccomp(*profile));
  return std::make_shared<const SeccompProgram>(std::move(program));
}

SeccompListener ListenerOf(const std::optional<LinuxSeccomp>& profile) {
  if (!profile.has_value()) return {};
  return SeccompListener{profile->listener_path, profile->listener_metadata};
}

absl::Status CheckListener(const SeccompProgram* program, const SeccompListener& listener) {
  if (program == nullptr || !program->uses_notify || !listener.path.empty()) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "linux.seccomp.listenerPath: empty, and a rule has the action SCMP_ACT_NOTIFY");
}

// A process that a limit of its own ended, or kept from being made, cannot say so.
absl::Status Explain(const absl::Status& failure, const Cgroup* cgroup) {
  const char* hint = "";
  const absl::StatusOr<uint64_t> oom_kills = cgroup == nullptr ? 0 : cgroup->OomKills();
  if (oom_kills.ok() && *oom_kills > 0) {
    hint = ": container init was OOM-killed (memory limit too low?)";
  } else if (ErrnoOf(failure) == EAGAIN) {
    hint = ": no more processes can be made (pids limit too low?)";
  } else {
    return failure;
  }
  return absl::Status(failure.code(), absl::StrCat(failure.message(), hint));
}

absl::Status SendSignal(const UniqueFd& pidfd, int signal) {
  if (!pidfd.valid()) return absl::NotFoundError("process already finished");
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0) {
    return absl::OkStatus();
  }
  if (errno == ESRCH) return absl::NotFoundError("process already finished");
  return ErrnoError(errno, absl::StrCat("send signal ", signal, " to the container's init"));
}

// What goes on in a container's cgroup when there is none.
absl::Status NoCgroup(const std::string& id) {
  return absl::FailedPreconditionError(absl::StrCat("container ", id, " has no cgroup"));
}

// Limits that a container without a cgroup would not have. Device rules are none: without a
// privilege there is no device to be had.
bool HasLimits(const LinuxResources& resources) {
  return resources.memory.has_value() || resources.cpu.has_value() || resources.pids.has_value() ||
         resources.block_io.has_value() || !resources.hugepage_limits.empty() ||
         resources.network.has_value() || !resources.rdma.empty() || !resources.unified.empty();
}

// Null if the container is to go without.
absl::StatusOr<std::unique_ptr<Cgroup>> MakeCgroup(const CreateOptions& options) {
  const Linux& spec = options.spec.linux_;
  absl::StatusOr<std::unique_ptr<Cgroup>> made = Cgroup::Create(spec.cgroups_path, spec.resources);
  const int error = ErrnoOf(made.status());
  const bool forbidden = error == EACCES || error == EPERM || error == EROFS;
  if (made.ok() || !options.cgroup_optional || !forbidden) return made;
  if (!HasLimits(spec.resources)) return std::unique_ptr<Cgroup>();
  return Annotate(made.status(), "linux.resources: limits need a cgroup");
}

std::string RootPath(const CreateOptions& options) {
  const std::string& path = options.spec.root.path;
  return CleanPath(!path.empty() && path[0] == '/' ? path : JoinPath(options.bundle, path));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Container>> Container::Create(CreateOptions options) {
  const Spec& spec = options.spec;
  GANTRY_RETURN_IF_ERROR(CheckNamespaces(spec));
  auto state = std::make_unique<State>();
  state->id = options.id;
  state->oom_score_adj = spec.process.oom_score_adj;
  state->no_new_keyring = options.no_new_keyring;
  state->plan = std::make_unique<PlanBuilder>();
  PlanBuilder& plan = *state->plan;
  GANTRY_ASSIGN_OR_RETURN(state->seccomp, CompileFilter(spec.linux_.seccomp, options.seccomp));
  state->listener = ListenerOf(spec.linux_.seccomp);
  GANTRY_RETURN_IF_ERROR(CheckListener(state->seccomp.get(), state->listener));
  if (spec.linux_.cgroups_path.empty()) options.spec.linux_.cgroups_path = "/" + options.id;
  const std::string& cgroups_path = spec.linux_.cgroups_path;

  SpawnOptions spawn;
  GANTRY_RETURN_IF_ERROR(PlanNamespaces(spec, &spawn, &plan));
  const UserNamespace user_namespace = UserNamespaceOf(spec.linux_);
  GANTRY_RETURN_IF_ERROR(
      PlanSysctls(spec.linux_, user_namespace.exists ? SysctlPart::kUts : SysctlPart::kAll, &plan));
  GANTRY_RETURN_IF_ERROR(PlanNames(spec, &plan));
  GANTRY_RETURN_IF_ERROR(PlanStdio(spec.process, options.stdio, user_namespace, &plan));
  const std::string root = RootPath(options);
  if (!options.rootfs_mounts.empty()) GANTRY_RETURN_IF_ERROR(MakeDirectories(root, 0711));
  GANTRY_ASSIGN_OR_RETURN(state->cgroup, MakeCgroup(options));
  state->without_cgroup = state->cgroup == nullptr;
  // What failed is the answer; a cgroup that is still busy is removed by whoever comes next.
  absl::Cleanup remove_cgroup = [&cgroup = state->cgroup] {
    if (cgroup == nullptr) return;
    cgroup->KillAll(SIGKILL).IgnoreError();
    cgroup->Remove().IgnoreError();
  };
  // Without a cgroup it is in the caller's, which is what "" names there.
  GANTRY_RETURN_IF_ERROR(
      PlanRootfs(options, root, state->without_cgroup ? "" : cgroups_path, &plan));
  if (user_namespace.exists) {
    GANTRY_RETURN_IF_ERROR(PlanSysctls(spec.linux_, SysctlPart::kAllButUts, &plan));
  }
  PlanExecutionDomain(spec.linux_, &plan);
  if (!options.no_new_keyring) PlanKeyring(options.id, &plan);
  PlanNullStdio(spec.process, options.stdio, &plan);
  GANTRY_RETURN_IF_ERROR(PlanIdentity(
      spec.process, IdentityOptions{state->seccomp, /*is_init=*/true, user_namespace.exists},
      &plan));
  state->hook_state = HookStateOf(spec, options.id, options.bundle);
  PlanStartContainerHooks(spec.hooks.start_container, state->hook_state, &plan);
  plan.SetWaitForStart(true);
  spawn.trace_id = options.id;
  spawn.meanwhile = options.meanwhile;
  TraceStart(options.id, "plan");
  plan.SetListener(options.start_listener);
  plan.SetKeptFds(options.preserve_fds);

  Cgroup::Entrance entrance;
  if (!state->without_cgroup) {
    GANTRY_ASSIGN_OR_RETURN(entrance, state->cgroup->OpenEntrance());
  }
  PlanEntrance(entrance, &spawn, &plan);
  spawn.before_go = [&spec, mapped = user_namespace.exists](pid_t pid) -> absl::Status {
    if (mapped) GANTRY_RETURN_IF_ERROR(PrepareUserNamespace(pid, spec));
    return MoveNetDevices(pid, spec.linux_);
  };
  spawn.when_ready = [&spec](pid_t pid) { return ApplyScheduling(pid, spec.process); };
  spawn.take_listener = [&](pid_t pid, UniqueFd listener) {
    return SendListener(state->listener, state->hook_state, "creating", pid, std::move(listener));
  };
  spawn.run_hooks = [&](pid_t pid) -> absl::Status {
    const Hooks& hooks = spec.hooks;
    GANTRY_RETURN_IF_ERROR(
        RunHooks("prestart", hooks.prestart, state->hook_state, "creating", pid));
    return RunHooks("createRuntime", hooks.create_runtime, state->hook_state, "creating", pid);
  };
  TraceStart(options.id, "make cgroups");
  absl::StatusOr<Spawned> init = Spawn(plan, spawn);
  if (!init.ok()) {
    const absl::Status failure = Explain(init.status(), state->cgroup.get());
    std::move(remove_cgroup).Invoke();
    // Whatever the earlier hooks made is theirs to take back.
    RunHooksAnyway("poststop", spec.hooks.poststop, state->hook_state, "stopped", 0);
    return failure;
  }
  std::move(remove_cgroup).Cancel();
  state->init = *std::move(init);
  // No error: without it the exit is seen a little later, that is all.
  absl::StatusOr<UniqueFd> mounts =
      OpenFile(absl::StrCat("/proc/", state->init.pid, "/ns/mnt"), O_RDONLY);
  if (mounts.ok()) state->mounts = *std::move(mounts);
  if (!options.rootfs_mounts.empty()) {
    absl::StatusOr<UniqueFd> opened =
        OpenFile(absl::StrCat("/proc/", state->init.pid, "/root"), O_PATH | O_DIRECTORY);
    if (opened.ok()) state->root = *std::move(opened);
  }
  // The rest of the spec is not needed any more; a shim keeps this for as long as it lives.
  state->linux_.namespaces = std::move(options.spec.linux_.namespaces);
  state->linux_.uid_mappings = std::move(options.spec.linux_.uid_mappings);
  state->linux_.gid_mappings = std::move(options.spec.linux_.gid_mappings);
  state->linux_.personality = options.spec.linux_.personality;
  state->linux_.memory_policy = std::move(options.spec.linux_.memory_policy);
  state->poststart = std::move(options.spec.hooks.poststart);
  state->poststop = std::move(options.spec.hooks.poststop);
  return std::unique_ptr<Container>(new Container(std::move(state)));
}

absl::StatusOr<std::unique_ptr<Container>> Container::Load(LoadOptions options) {
  Spec& spec = options.spec;
  auto state = std::make_unique<State>();
  absl::StatusOr<UniqueFd> pidfd = OpenProcess(options.init);
  if (pidfd.ok()) {
    state->init.pidfd = *std::move(pidfd);
  } else if (!absl::IsNotFound(pidfd.status())) {
    return pidfd.status();
  }
  state->without_cgroup = spec.linux_.cgroups_path.empty();
  if (!state->without_cgroup) {
    absl::StatusOr<std::unique_ptr<Cgroup>> cgroup =
        Cgroup::Open(spec.linux_.cgroups_path, options.creator_cgroups);
    if (cgroup.ok()) {
      state->cgroup = *std::move(cgroup);
    } else if (!absl::IsNotFound(cgroup.status())) {
      return cgroup.status();
    }
  }
  state->init.pid = options.init.pid;
  state->started = !options.start_connection.valid();
  state->init.socket = std::move(options.start_connection);
  state->hook_state = HookStateOf(spec, options.id, options.bundle);
  state->listener = ListenerOf(spec.linux_.seccomp);
  state->id = std::move(options.id);
  state->oom_score_adj = spec.process.oom_score_adj;
  state->no_new_keyring = options.no_new_keyring;
  state->seccomp_profile = std::move(spec.linux_.seccomp);
  state->seccomp_cache = options.seccomp;
  state->program = spec.process.args[0];
  state->linux_.namespaces = std::move(spec.linux_.namespaces);
  state->linux_.uid_mappings = std::move(spec.linux_.uid_mappings);
  state->linux_.gid_mappings = std::move(spec.linux_.gid_mappings);
  state->linux_.personality = spec.linux_.personality;
  state->linux_.memory_policy = std::move(spec.linux_.memory_policy);
  state->poststart = std::move(spec.hooks.poststart);
  state->poststop = std::move(spec.hooks.poststop);
  return std::unique_ptr<Container>(new Container(std::move(state)));
}

Container::Container(std::unique_ptr<State> state) : state_(std::move(state)) {}
Container::~Container() = default;

pid_t Container::pid() const { return state_->init.pid; }
int Container::pidfd() const { return state_->init.pidfd.get(); }
bool Container::HasEnded() const { return runtime::HasEnded(state_->init.pidfd); }
UniqueFd Container::TakeConsole() { return std::move(state_->init.console); }
Cgroup& Container::cgroup() { return *state_->cgroup; }
bool Container::has_cgroup() const { return state_->cgroup != nullptr; }

absl::Status Container::Detach() {
  const absl::Status status = LetWaitAtListener(state_->init.socket);
  state_->init.socket.reset();
  state_->plan.reset();
  state_->started = true;  // for this object
  return status;
}

absl::Status Container::Start() {
  if (state_->started) {
    return absl::FailedPreconditionError(
        absl::StrCat("container ", state_->id, " was started already"));
  }
  state_->started = true;
  ChildPlan words;
  words.program = state_->program.c_str();
  const absl::Status status =
      Release(state_->plan != nullptr ? state_->plan->Build() : words, state_->init.socket);
  state_->init.socket.reset();
  state_->plan.reset();
  if (status.ok()) {
    // The process runs: a hook that fails is told, and changes nothing (runtime-spec, lifecycle).
    RunHooksAnyway("poststart", state_->poststart, state_->hook_state, "running", pid());
  }
  return status;
}

absl::StatusOr<ChildProcess> Container::Exec(const Process& process, const Stdio& stdio,
                                             const ExecOptions& options) {
  if (HasEnded()) return absl::FailedPreconditionError("exec failed: the container has stopped");
  if (!has_cgroup() && !state_->without_cgroup) return NoCgroup(state_->id);
  // It would be frozen with the others before it could report anything.
  GANTRY_ASSIGN_OR_RETURN(const bool frozen, Paused());
  if (frozen && !options.ignore_paused) {
    return absl::FailedPreconditionError("cannot exec in a paused container");
  }
  if (state_->seccomp == nullptr) {
    GANTRY_ASSIGN_OR_RETURN(state_->seccomp,
                            CompileFilter(state_->seccomp_profile, state_->seccomp_cache));
  }
  PlanBuilder plan;
  SpawnOptions spawn;
  const UserNamespace user_namespace = UserNamespaceOf(state_->linux_);
  // A pid namespace is entered by its children. An ordinary user may join it only as root of the
  // container's user namespace, and so in the child, which clones itself once more.
  spawn.clones_again = user_namespace.exists && ::geteuid() != 0;
  int join = 0;
  for (const LinuxNamespace& ns : state_->linux_.namespaces) {
    if (ns.type == NamespaceType::kPid && !spawn.clones_again) {
      spawn.pid_namespace = state_->init.pidfd.get();
    } else {
      join |= static_cast<int>(NamespaceFlag(ns.type));
    }
  }
  if (!spawn.clones_again) plan.Add(WaitForGo, "wait for", "the runtime");
  plan.Add(PrepareProcess, "prepare", "the process");
  PlanFinalAffinity(process.exec_cpu_affinity, &plan);
  const std::optional<int> oom =
      process.oom_score_adj.has_value() ? process.oom_score_adj : state_->oom_score_adj;
  if (oom.has_value()) PlanOomScore(*oom, &plan);
  GANTRY_RETURN_IF_ERROR(PlanStdio(process, stdio, user_namespace, &plan));
  plan.Add(SetNamespace, "join the namespaces of container", state_->id,
           SetNamespaceArgs{state_->init.pidfd.get(), join});
  if (spawn.clones_again) {
    plan.Add(CloneAgain, "clone in", "the container's pid namespace", CloneArgs{});
    plan.Add(WaitForGo, "wait for", "the runtime");
  }
  if (user_namespace.exists) {
    plan.Add(BecomeRoot, "become root of", "the user namespace");
  }
  spawn.before_go = [&](pid_t pid) -> absl::Status {
    if (user_namespace.exists) GANTRY_RETURN_IF_ERROR(RaiseHardLimits(pid, process.rlimits));
    return ApplyScheduling(pid, process);
  };
  spawn.take_listener = [&](pid_t pid, UniqueFd listener) {
    return SendListener(state_->listener, state_->hook_state, "running", pid, std::move(listener));
  };
  PlanExecutionDomain(state_->linux_, &plan);
  if (!state_->no_new_keyring) PlanKeyring(state_->id, &plan);
  PlanNullStdio(process, stdio, &plan);
  plan.SetKeptFds(options.preserve_fds);
  GANTRY_RETURN_IF_ERROR(PlanIdentity(
      process, IdentityOptions{state_->seccomp, /*is_init=*/false, user_namespace.exists}, &plan));
  if (has_cgroup() && !state_->entrance.has_value()) {
    GANTRY_ASSIGN_OR_RETURN(state_->entrance, state_->cgroup->OpenEntrance());
  }
  if (state_->entrance.has_value()) PlanEntrance(*state_->entrance, &spawn, &plan);
  PlanInitialAffinity(process.exec_cpu_affinity, &plan);
  absl::StatusOr<Spawned> child = Spawn(plan, spawn);
  if (!child.ok()) return Annotate(child.status(), "exec failed");
  return ChildProcess{child->pid, std::move(child->pidfd), std::move(child->console)};
}

void Container::Rest() { state_->entrance.reset(); }

absl::Status Container::Kill(int signal) {
  GANTRY_RETURN_IF_ERROR(SendSignal(state_->init.pidfd, signal));
  if (signal != SIGKILL) return absl::OkStatus();
  // The freezer of cgroup v1 keeps even SIGKILL waiting.
  const absl::StatusOr<bool> frozen = Paused();
  return frozen.ok() && *frozen ? Resume() : absl::OkStatus();
}

absl::StatusOr<bool> Container::Paused() {
  if (!has_cgroup()) return false;
  return state_->cgroup->Frozen();
}

absl::Status Container::KillAll(int signal) {
  if (has_cgroup()) return state_->cgroup->KillAll(signal);
  if (!state_->without_cgroup) return absl::OkStatus();
  // Those that can be told to be its own: a pid namespace ends with its init.
  const absl::Status sent = Kill(signal);
  return absl::IsNotFound(sent) ? absl::OkStatus() : sent;
}
absl::Status Container::Pause() {
  return has_cgroup() ? state_->cgroup->Freeze() : NoCgroup(state_->id);
}
absl::Status Container::Resume() {
  return has_cgroup() ? state_->cgroup->Thaw() : NoCgroup(state_->id);
}
absl::Status Container::Update(const LinuxResources& resources) {
  return has_cgroup() ? state_->cgroup->Apply(resources) : NoCgroup(state_->id);
}
absl::StatusOr<std::vector<pid_t>> Container::Pids() {
  if (state_->without_cgroup) return NoCgroup(state_->id);
  if (!has_cgroup()) return std::vector<pid_t>();
  return state_->cgroup->Pids();
}
absl::StatusOr<CgroupStats> Container::Stats() {
  if (!has_cgroup()) return NoCgroup(state_->id);
  return state_->cgroup->Stats();
}
absl::StatusOr<uint64_t> Container::OomKills() {
  if (!has_cgroup()) return NoCgroup(state_->id);
  return state_->cgroup->OomKills();
}

void Container::ReleaseMounts() { state_->mounts.reset(); }
UniqueFd Container::TakeRoot() { return std::move(state_->root); }

absl::Status Container::Destroy() {
  ReleaseMounts();
  Rest();
  if (has_cgroup()) {
    // The kernel ends a pid namespace with its init; without one of its own, processes stay.
    if (!state_->cgroup->RemoveIfEmpty().ok()) {
      GANTRY_RETURN_IF_ERROR(state_->cgroup->KillAll(SIGKILL));
      GANTRY_RETURN_IF_ERROR(state_->cgroup->Remove());
    }
  }
  const std::vector<Hook> poststop = std::exchange(state_->poststop, {});
  RunHooksAnyway("poststop", poststop, state_->hook_state, "stopped", 0);
  return absl::OkStatus();
}

}  // namespace gantry::runtime
