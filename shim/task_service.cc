#include "shim/task_service.h"

#include <malloc.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "base/any.h"
#include "base/errors.h"
#include "base/identifiers.h"
#include "base/log.h"
#include "base/time.h"
#include "google/protobuf/empty.pb.h"
#include "proto/containerd/events/task.pb.h"
#include "proto/containerd/runc/v1/oci.pb.h"
#include "shim/stats_any.h"

namespace gantry::shim {
namespace {

// Shared by all shims of the host: most containers have one and the same profile.
constexpr char kSeccompCacheDir[] = "/run/gantry/seccomp";

absl::StatusOr<std::string> Empty() { return std::string(); }

template <typename Message>
absl::StatusOr<std::string> Bytes(const Message& message) {
  return message.SerializeAsString();
}

void SetTime(absl::Time time, google::protobuf::Timestamp* to) {
  const WallTime wall = ToWallTime(time);
  to->set_seconds(wall.seconds);
  to->set_nanos(wall.nanos);
}

}  // namespace

TaskService::TaskService(EventLoop& loop, EventQueue& events, std::function<void()> on_shutdown)
    : loop_(loop),
      events_(events),
      on_shutdown_(std::move(on_shutdown)),
      seccomp_(kSeccompCacheDir) {}

TaskService::~TaskService() {
  if (oom_fd_.valid()) loop_.Remove(oom_fd_.get());
}

template <typename Request>
void TaskService::Add(ttrpc::Server& server, const char* method,
                      void (TaskService::*handler)(const Request&, Reply)) {
  for (const char* service : {"containerd.task.v2.Task", "containerd.task.v3.Task"}) {
    server.Register(service, method, [this, handler](ttrpc::Call call, Reply reply) {
      Request request;
      if (!request.ParseFromString(call.payload)) {
        return reply(absl::InvalidArgumentError("request is not a well-formed message"));
      }
      (this->*handler)(request, std::move(reply));
    });
  }
}

void TaskService::RegisterOn(ttrpc::Server& server) {
  Add(server, "State", &TaskService::State);
  Add(server, "Create", &TaskService::Create);
  Add(server, "Start", &TaskService::Start);
  Add(server, "Delete", &TaskService::Delete);
  Add(server, "Pids", &TaskService::Pids);
  Add(server, "Pause", &TaskService::Pause);
  Add(server, "Resume", &TaskService::Resume);
  Add(server, "Checkpoint", &TaskService::Checkpoint);
  Add(server, "Kill", &TaskService::Kill);
  Add(server, "Exec", &TaskService::Exec);
  Add(server, "ResizePty", &TaskService::ResizePty);
  Add(server, "CloseIO", &TaskService::CloseIO);
  Add(server, "Update", &TaskService::Update);
  Add(server, "Wait", &TaskService::Wait);
  Add(server, "Stats", &TaskService::Stats);
  Add(server, "Connect", &TaskService::Connect);
  Add(server, "Shutdown", &TaskService::Shutdown);
}

template <typename Message>
uint64_t TaskService::Publish(const char* topic, const Message& message) {
  return events_.Publish(topic, message.GetTypeName(), message.SerializeAsString());
}

absl::StatusOr<TaskService::ProcPtr> TaskService::Find(const std::string& id,
                                                       const std::string& exec_id) const {
  if (init_ == nullptr || id != id_) {
    return absl::NotFoundError(absl::StrCat("container \"", id, "\" not found"));
  }
  if (exec_id.empty()) return init_;
  const auto found = execs_.find(exec_id);
  if (found == execs_.end()) {
    return absl::NotFoundError(
        absl::StrCat("process \"", exec_id, "\" of container \"", id, "\" not found"));
  }
  return found->second;
}

void TaskService::State(const task::StateRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> proc = Find(request.id(), request.exec_id());
  if (!proc.ok()) return reply(proc.status());
  const Proc& found = **proc;
  task::StateResponse response;
  response.set_id(request.id());
  response.set_bundle(bundle_);
  response.set_pid(static_cast<uint32_t>(found.pid));
  response.set_stdin(found.names.in);
  response.set_stdout(found.names.out);
  response.set_stderr(found.names.err);
  response.set_terminal(found.names.terminal);
  response.set_exec_id(found.exec_id);
  switch (found.status) {
    case Status::kCreated:
      response.set_status(containerd::v1::types::CREATED);
      break;
    case Status::kRunning:
      response.set_status(paused_ ? containerd::v1::types::PAUSED : containerd::v1::types::RUNNING);
      break;
    case Status::kStopped:
      response.set_status(containerd::v1::types::STOPPED);
      response.set_exit_status(found.exit_status);
      SetTime(found.exited_at, response.mutable_exited_at());
      break;
  }
  reply(Bytes(response));
}

void TaskService::Create(const task::CreateTaskRequest& request, Reply reply) {
  if (init_ != nullptr) {
    return reply(absl::AlreadyExistsError(absl::StrCat("container \"", id_, "\" already exists")));
  }
  if (!request.checkpoint().empty()) {
    return reply(absl::UnimplementedError("create from a checkpoint is not implemented"));
  }
  auto init = std::make_shared<Proc>();
  init->names = {request.stdin(), request.stdout(), request.stderr(), request.terminal()};
  const absl::Status made = MakeContainer(request, *init);
  if (!made.ok()) {
    container_.reset();
    const absl::StatusCode code =
        made.code() == absl::StatusCode::kUnimplemented ? made.code() : absl::StatusCode::kUnknown;
    return reply(WithCode(Annotate(made, "OCI runtime create failed: runc create failed"), code));
  }
  id_ = request.id();
  init_ = std::move(init);
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
  reply(Bytes(response));
  // What reading the specification took is given back: this process idles from now on.
  loop_.Post([] { ::malloc_trim(0); });
}

void TaskService::Start(const task::StartRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), request.exec_id());
  if (!found.ok()) return reply(found.status());
  Proc& proc = **found;
  if (proc.status != Status::kCreated) {
    return reply(absl::FailedPreconditionError(absl::StrCat(
        "cannot start a ", proc.status == Status::kRunning ? "running" : "stopped", " process")));
  }
  if (proc.exec_id.empty()) {
    const absl::Status started = container_->Start();
    if (!started.ok()) {
      return reply(
          WithCode(Annotate(started, "OCI runtime start failed"), absl::StatusCode::kUnknown));
    }
    proc.status = Status::kRunning;
    containerd::events::TaskStart event;
    event.set_container_id(id_);
    event.set_pid(static_cast<uint32_t>(proc.pid));
    Publish("/tasks/start", event);
  } else {
    if (init_->status != Status::kRunning || paused_) {
      return reply(absl::FailedPreconditionError(
          absl::StrCat("cannot exec in a ", paused_ ? "paused" : "stopped", " container")));
    }
    const absl::Status started = StartExec(proc);
    if (!started.ok()) {
      proc.io.reset();
      const absl::StatusCode code = started.code() == absl::StatusCode::kUnimplemented
                                        ? started.code()
                                        : absl::StatusCode::kUnknown;
      return reply(WithCode(Annotate(started, "OCI runtime exec failed"), code));
    }
    containerd::events::TaskExecStarted event;
    event.set_container_id(id_);
    event.set_exec_id(proc.exec_id);
    event.set_pid(static_cast<uint32_t>(proc.pid));
    Publish("/tasks/exec-started", event);
  }
  task::StartResponse response;
  response.set_pid(static_cast<uint32_t>(proc.pid));
  reply(Bytes(response));
  Reap();  // what ended before it was known here
}

void TaskService::Delete(const task::DeleteRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), request.exec_id());
  if (!found.ok()) return reply(found.status());
  const ProcPtr proc = *found;
  if (proc->status == Status::kRunning) {
    return reply(absl::FailedPreconditionError(absl::StrCat(
        "cannot delete a running process \"", proc->exec_id.empty() ? id_ : proc->exec_id, "\"")));
  }
  if (proc->status == Status::kCreated) {
    if (!proc->exec_id.empty()) return FinishDelete(proc, std::move(reply));
    if (absl::Status killed = container_->KillAll(SIGKILL); !killed.ok()) return reply(killed);
  }
  AfterExit(proc, [this, proc, reply = std::move(reply)] {
    if (proc->io == nullptr) return FinishDelete(proc, reply);
    proc->io->Finish([this, proc, reply] { FinishDelete(proc, reply); });
  });
}

void TaskService::FinishDelete(const ProcPtr& proc, Reply reply) {
  // Two Deletes may have waited for the same exit.
  const absl::StatusOr<ProcPtr> found = Find(id_, proc->exec_id);
  if (!found.ok() || *found != proc) {
    return reply(absl::NotFoundError(absl::StrCat("process of container \"", id_, "\" not found")));
  }
  if (proc->exec_id.empty()) {
    if (absl::Status gone = container_->Destroy(); !gone.ok()) return reply(gone);
  }
  proc->io.reset();
  task::DeleteResponse response;
  response.set_pid(static_cast<uint32_t>(proc->pid));
  response.set_exit_status(proc->exit_status);
  SetTime(proc->exited_at, response.mutable_exited_at());
  if (!proc->exec_id.empty()) {
    execs_.erase(proc->exec_id);
    return reply(Bytes(response));
  }
  containerd::events::TaskDelete event;
  event.set_container_id(id_);
  event.set_pid(static_cast<uint32_t>(proc->pid));
  event.set_exit_status(proc->exit_status);
  SetTime(proc->exited_at, event.mutable_exited_at());
  if (oom_fd_.valid()) loop_.Remove(oom_fd_.get());
  oom_fd_.reset();
  execs_.clear();
  init_.reset();
  container_.reset();
  events_.WhenTold(Publish("/tasks/delete", event),
                   [reply = std::move(reply), bytes = Bytes(response)] { reply(bytes); });
}

void TaskService::Pids(const task::PidsRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), "");
  if (!found.ok()) return reply(found.status());
  const absl::StatusOr<std::vector<pid_t>> pids = container_->Pids();
  if (!pids.ok()) return reply(pids.status());
  task::PidsResponse response;
  for (const pid_t pid : *pids) {
    containerd::v1::types::ProcessInfo* info = response.add_processes();
    info->set_pid(static_cast<uint32_t>(pid));
    for (const auto& [exec_id, proc] : execs_) {
      if (proc->pid != pid) continue;
      containerd::runc::v1::ProcessDetails details;
      details.set_exec_id(exec_id);
      info->mutable_info()->set_type_url(details.GetTypeName());
      info->mutable_info()->set_value(details.SerializeAsString());
    }
  }
  reply(Bytes(response));
}

void TaskService::Pause(const task::PauseRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), "");
  if (!found.ok()) return reply(found.status());
  if (init_->status != Status::kRunning) {
    return reply(absl::FailedPreconditionError("cannot pause a container that is not running"));
  }
  if (absl::Status status = container_->Pause(); !status.ok()) return reply(status);
  paused_ = true;
  containerd::events::TaskPaused event;
  event.set_container_id(id_);
  Publish("/tasks/paused", event);
  reply(Empty());
}

void TaskService::Resume(const task::ResumeRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), "");
  if (!found.ok()) return reply(found.status());
  if (!paused_) return reply(absl::FailedPreconditionError("container is not paused"));
  if (absl::Status status = container_->Resume(); !status.ok()) return reply(status);
  paused_ = false;
  containerd::events::TaskResumed event;
  event.set_container_id(id_);
  Publish("/tasks/resumed", event);
  reply(Empty());
}

void TaskService::Checkpoint(const task::CheckpointTaskRequest&, Reply reply) {
  reply(absl::UnimplementedError("checkpoint of a running container is not implemented"));
}

void TaskService::Kill(const task::KillRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), request.exec_id());
  if (!found.ok()) return reply(found.status());
  const Proc& proc = **found;
  if (request.signal() == 0 || request.signal() > static_cast<uint32_t>(SIGRTMAX)) {
    return reply(absl::InvalidArgumentError(
        absl::StrCat("signal ", request.signal(), " is not a signal's number")));
  }
  const int signal = static_cast<int>(request.signal());
  if (proc.status == Status::kStopped) {
    return reply(absl::NotFoundError("process already finished"));
  }
  if (!proc.exec_id.empty()) {
    if (proc.status == Status::kCreated) {
      return reply(absl::FailedPreconditionError("process has not been started"));
    }
    if (::syscall(SYS_pidfd_send_signal, proc.pidfd.get(), signal, nullptr, 0) != 0) {
      if (errno == ESRCH) return reply(absl::NotFoundError("process already finished"));
      return reply(ErrnoError(errno, absl::StrCat("send signal ", signal)));
    }
    return reply(Empty());
  }
  const absl::Status sent = request.all() ? container_->KillAll(signal) : container_->Kill(signal);
  if (absl::IsNotFound(sent)) return reply(absl::NotFoundError("process already finished"));
  if (!sent.ok()) return reply(sent);
  // A frozen process dies of SIGKILL only when it thaws.
  if (paused_ && signal == SIGKILL && container_->Resume().ok()) paused_ = false;
  reply(Empty());
}

void TaskService::Exec(const task::ExecProcessRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), "");
  if (!found.ok()) return reply(found.status());
  if (absl::Status valid = ValidateIdentifier("exec id", request.exec_id()); !valid.ok()) {
    return reply(valid);
  }
  if (execs_.count(request.exec_id()) != 0) {
    return reply(absl::AlreadyExistsError(
        absl::StrCat("process \"", request.exec_id(), "\" already exists")));
  }
  absl::StatusOr<runtime::Process> process = runtime::ParseProcess(request.spec().value());
  if (!process.ok()) return reply(process.status());
  auto proc = std::make_shared<Proc>();
  proc->exec_id = request.exec_id();
  proc->names = {request.stdin(), request.stdout(), request.stderr(), request.terminal()};
  process->terminal = request.terminal();
  proc->process = std::make_unique<runtime::Process>(*std::move(process));
  execs_[request.exec_id()] = std::move(proc);
  containerd::events::TaskExecAdded event;
  event.set_container_id(id_);
  event.set_exec_id(request.exec_id());
  Publish("/tasks/exec-added", event);
  reply(Empty());
}

void TaskService::ResizePty(const task::ResizePtyRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), request.exec_id());
  if (!found.ok()) return reply(found.status());
  if ((*found)->io == nullptr)
    return reply(absl::FailedPreconditionError("process is not running"));
  if (absl::Status status = (*found)->io->Resize(request.width(), request.height()); !status.ok()) {
    return reply(status);
  }
  reply(Empty());
}

void TaskService::CloseIO(const task::CloseIORequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), request.exec_id());
  if (!found.ok()) return reply(found.status());
  if (request.stdin() && (*found)->io != nullptr) (*found)->io->CloseStdin();
  reply(Empty());
}

void TaskService::Update(const task::UpdateTaskRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), "");
  if (!found.ok()) return reply(found.status());
  const absl::StatusOr<runtime::LinuxResources> resources =
      runtime::ParseResources(request.resources().value());
  if (!resources.ok()) return reply(resources.status());
  if (absl::Status status = container_->Update(*resources); !status.ok()) return reply(status);
  reply(Empty());
}

void TaskService::Wait(const task::WaitRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), request.exec_id());
  if (!found.ok()) return reply(found.status());
  AfterExit(*found, [proc = *found, reply = std::move(reply)] {
    task::WaitResponse response;
    response.set_exit_status(proc->exit_status);
    SetTime(proc->exited_at, response.mutable_exited_at());
    reply(Bytes(response));
  });
}

void TaskService::Stats(const task::StatsRequest& request, Reply reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.id(), "");
  if (!found.ok()) return reply(found.status());
  const absl::StatusOr<runtime::CgroupStats> stats = container_->Stats();
  if (!stats.ok()) return reply(stats.status());
  Any any = StatsToAny(*stats);
  task::StatsResponse response;
  response.mutable_stats()->set_type_url(std::move(any.type_url));
  response.mutable_stats()->set_value(std::move(any.value));
  reply(Bytes(response));
}

void TaskService::Connect(const task::ConnectRequest&, Reply reply) {
  task::ConnectResponse response;
  response.set_shim_pid(static_cast<uint32_t>(::getpid()));
  if (init_ != nullptr) response.set_task_pid(static_cast<uint32_t>(init_->pid));
  response.set_version("gantry");
  reply(Bytes(response));
}

void TaskService::Shutdown(const task::ShutdownRequest& request, Reply reply) {
  reply(Empty());
  if (init_ == nullptr || request.now()) on_shutdown_();
}

}  // namespace gantry::shim
