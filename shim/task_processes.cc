// The parts of Task that make processes.

#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/any.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/start_trace.h"
#include "proto/containerd/events/task.pb.h"
#include "proto/containerd/runc/v1/oci.pb.h"
#include "runtime/cgroup/systemd_scope.h"
#include "shim/record.h"
#include "shim/task.h"

namespace gantry::shim {
namespace {

// What the runtime cannot do keeps its code; the rest is what containerd's clients know by words.
absl::Status RuntimeError(const absl::Status& status, absl::string_view what) {
  return WithCode(Annotate(status, what), absl::IsUnimplemented(status)
                                              ? absl::StatusCode::kUnimplemented
                                              : absl::StatusCode::kUnknown);
}

absl::Status JoinCgroup(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<runtime::Cgroup> cgroup,
                          runtime::Cgroup::Open(path));
  return cgroup->AddProcess(::getpid());
}

}  // namespace

void Task::Create(const task::CreateTaskRequest& request, Reply reply) {
  TraceStart(request.id(), "receive Create");
  const auto init = std::make_shared<Proc>();
  const auto options = std::make_shared<runtime::CreateOptions>();
  if (absl::Status prepared = Prepare(request, options.get(), init.get()); !prepared.ok()) {
    return FinishCreate(request, init, prepared, reply);
  }
  init->io->WhenReady(
      [self = shared_from_this(), request, options, init, reply](absl::Status ready) {
        TraceStart(self->id_, "read the spec, open stdio");
        if (ready.ok()) ready = self->MakeContainer(std::move(*options), init.get());
        self->FinishCreate(request, init, ready, reply);
      });
}

absl::Status Task::Prepare(const task::CreateTaskRequest& request, runtime::CreateOptions* options,
                           Proc* init) {
  if (!request.checkpoint().empty()) {
    return absl::UnimplementedError("create from a checkpoint is not implemented");
  }
  init->names = {request.stdin(), request.stdout(), request.stderr(), request.terminal()};
  bundle_ = request.bundle();
  options->id = request.id();
  options->bundle = bundle_;
  GANTRY_ASSIGN_OR_RETURN(std::string config, ReadFile(absl::StrCat(bundle_, "/config.json")));
  GANTRY_ASSIGN_OR_RETURN(options->spec, runtime::ParseSpec(config));
  std::string().swap(config);
  options->spec.process.terminal = request.terminal();
  if (TypeUrlIs(request.options().type_url(), "containerd.runc.v1.Options")) {
    containerd::runc::v1::Options given;
    if (!given.ParseFromString(request.options().value())) {
      return absl::InvalidArgumentError("options: not a well-formed containerd.runc.v1.Options");
    }
    options->no_pivot = given.no_pivot_root();
    options->no_new_keyring = given.no_new_keyring();
    io_uid_ = given.io_uid();
    io_gid_ = given.io_gid();
    if (given.systemd_cgroup()) {
      GANTRY_RETURN_IF_ERROR(
          Annotate(runtime::CheckSystemdCgroup(options->spec.linux_.cgroups_path),
                   "options.systemd_cgroup"));
    }
    if (!given.shim_cgroup().empty()) {
      GANTRY_RETURN_IF_ERROR(Annotate(JoinCgroup(given.shim_cgroup()), "options.shim_cgroup"));
    }
  }
  for (const containerd::types::Mount& mount : request.rootfs()) {
    options->rootfs_mounts.push_back({mount.type(),
                                      mount.source(),
                                      mount.target(),
                                      {mount.options().begin(), mount.options().end()}});
  }
  options->seccomp = &context_.seccomp;
  GANTRY_ASSIGN_OR_RETURN(init->io, ProcessIo::Open(context_.loop, SettingsOf(init->names)));
  return absl::OkStatus();
}

IoSettings Task::SettingsOf(const IoNames& names) const {
  return {names, context_.ns, id_, io_uid_, io_gid_};
}

absl::Status Task::MakeContainer(runtime::CreateOptions options, Proc* init) {
  options.stdio = init->io->child_ends();
  cgroups_path_ = options.spec.linux_.cgroups_path;
  if (cgroups_path_.empty()) cgroups_path_ = absl::StrCat("/", id_);
  const runtime::LinuxNamespace* pid_ns =
      options.spec.linux_.FindNamespace(runtime::NamespaceType::kPid);
  kill_rest_at_exit_ = pid_ns == nullptr || !pid_ns->path.empty();
  options.meanwhile = [this](pid_t pid) { RecordState(pid); };
  GANTRY_ASSIGN_OR_RETURN(container_, runtime::Container::Create(std::move(options)));
  init->io->ReleaseChildEnds();
  if (UniqueFd console = container_->TakeConsole(); console.valid()) {
    GANTRY_RETURN_IF_ERROR(init->io->AttachConsole(std::move(console)));
  }
  init->pid = container_->pid();
  // Collected on SIGCHLD too; the pidfd is what cannot be missed.
  GANTRY_RETURN_IF_ERROR(
      context_.loop.Add(container_->pidfd(), EPOLLIN, [this](uint32_t) { context_.reap(); }));
  WatchOom();
  return absl::OkStatus();
}

void Task::FinishCreate(const task::CreateTaskRequest& request, const ProcPtr& init,
                        const absl::Status& made, const Reply& reply) {
  if (!made.ok()) {
    container_.reset();
    gone_ = true;
    return reply(RuntimeError(made, "OCI runtime create failed: runc create failed"));
  }
  init_ = init;
  containerd::events::TaskCreate event;
  event.set_container_id(id_);
  event.set_bundle(bundle_);
  *event.mutable_rootfs() = request.rootfs();
  event.mutable_io()->set_stdin(request.stdin());
  event.mutable_io()->set_stdout(request.stdout());
  event.mutable_io()->set_stderr(request.stderr());
  event.mutable_io()->set_terminal(request.terminal());
  event.set_pid(static_cast<uint32_t>(init_->pid));
  Publish("/tasks/create", event);
  task::CreateTaskResponse response;
  response.set_pid(static_cast<uint32_t>(init_->pid));
  TraceStart(id_, "watch, publish create");
  reply(response.SerializeAsString());
  // What reading the specification took is given back by a process that lives on; the start that
  // is about to be asked for does not wait for it.
  context_.release_soon();
}

void Task::RecordState(pid_t pid) const {
  const absl::Status written = WriteContainerRecord(
      bundle_,
      {.init_pid = pid, .init_start_time = StartTimeOf(pid), .cgroups_path = cgroups_path_});
  if (!written.ok()) LogWarn(written.message());
}

void Task::Start(const task::StartRequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.exec_id());
  if (!found.ok()) return reply(found.status());
  const Status status = (*found)->status;
  if (status != Status::kCreated) {
    return reply(absl::FailedPreconditionError(absl::StrCat(
        "cannot start a ", status == Status::kStopped ? "stopped" : "running", " process")));
  }
  return (*found)->exec_id.empty() ? StartInit(*found, reply) : StartExec(*found, reply);
}

void Task::ReplyStarted(const Proc& proc, const Reply& reply) const {
  task::StartResponse response;
  response.set_pid(static_cast<uint32_t>(proc.pid));
  reply(response.SerializeAsString());
  context_.reap();  // what ended before it was known here
}

void Task::StartInit(const ProcPtr& init, const Reply& reply) {
  if (absl::Status started = container_->Start(); !started.ok()) {
    return reply(
        WithCode(Annotate(started, "OCI runtime start failed"), absl::StatusCode::kUnknown));
  }
  init->status = Status::kRunning;
  containerd::events::TaskStart event;
  event.set_container_id(id_);
  event.set_pid(static_cast<uint32_t>(init->pid));
  Publish("/tasks/start", event);
  ReplyStarted(*init, reply);
}

void Task::StartExec(const ProcPtr& proc, const Reply& reply) {
  if (init_->status != Status::kRunning || paused_) {
    return reply(absl::FailedPreconditionError(
        absl::StrCat("cannot exec in a ", paused_ ? "paused" : "stopped", " container")));
  }
  const auto finish = [self = shared_from_this(), proc, reply](absl::Status ready) {
    if (ready.ok()) ready = self->RunExec(proc.get());
    if (!ready.ok()) {
      // It may have failed after its execve.
      if (proc->pidfd.valid()) {
        ::syscall(SYS_pidfd_send_signal, proc->pidfd.get(), SIGKILL, nullptr, 0);
      }
      proc->pidfd.reset();
      proc->pid = 0;
      proc->status = Status::kCreated;
      proc->io.reset();
      return reply(RuntimeError(ready, "OCI runtime exec failed"));
    }
    containerd::events::TaskExecStarted event;
    event.set_container_id(self->id_);
    event.set_exec_id(proc->exec_id);
    event.set_pid(static_cast<uint32_t>(proc->pid));
    self->Publish("/tasks/exec-started", event);
    self->ReplyStarted(*proc, reply);
    self->context_.release_soon();
  };
  IoSettings settings = SettingsOf(proc->names);
  settings.id = proc->exec_id;
  absl::StatusOr<std::unique_ptr<ProcessIo>> io =
      ProcessIo::Open(context_.loop, std::move(settings));
  if (!io.ok()) return finish(io.status());
  proc->io = *std::move(io);
  proc->status = Status::kStarting;
  proc->io->WhenReady(finish);
}

void Task::Rest() {
  if (container_ != nullptr) container_->Rest();
}

absl::Status Task::RunExec(Proc* proc) {
  if (init_ == nullptr || init_->status != Status::kRunning) {
    return absl::FailedPreconditionError("cannot exec in a stopped container");
  }
  GANTRY_ASSIGN_OR_RETURN(runtime::ChildProcess child,
                          container_->Exec(*proc->process, proc->io->child_ends()));
  proc->io->ReleaseChildEnds();
  proc->pid = child.pid;
  proc->pidfd = std::move(child.pidfd);
  if (child.console.valid()) {
    GANTRY_RETURN_IF_ERROR(proc->io->AttachConsole(std::move(child.console)));
  }
  GANTRY_RETURN_IF_ERROR(
      context_.loop.Add(proc->pidfd.get(), EPOLLIN, [this](uint32_t) { context_.reap(); }));
  proc->status = Status::kRunning;
  proc->process.reset();
  return absl::OkStatus();
}

}  // namespace gantry::shim
