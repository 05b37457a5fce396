#include "shim/task.h"

#include <signal.h>
#include <sys/syscall.h>

#include <cerrno>

#include "base/any.h"
#include "base/errors.h"
#include "base/identifiers.h"
#include "proto/containerd/events/task.pb.h"
#include "proto/containerd/runc/v1/oci.pb.h"
#include "runtime/cgroup/stats_any.h"
#include "shim/set_time.h"

namespace gantry::shim {
namespace {

absl::StatusOr<std::string> Empty() { return std::string(); }

template <typename Message>
absl::StatusOr<std::string> Bytes(const Message& message) {
  return message.SerializeAsString();
}

}  // namespace

Task::~Task() {
  if (oom_watch_) context_.loop.Remove(oom_watch_->fd());
}

absl::StatusOr<Task::ProcPtr> Task::Find(const std::string& exec_id) const {
  if (init_ == nullptr)
    return absl::NotFoundError(absl::StrCat("container \"", id_, "\" not found"));
  if (exec_id.empty()) return init_;
  const auto found = execs_.find(exec_id);
  if (found == execs_.end()) {
    return absl::NotFoundError(
        absl::StrCat("process \"", exec_id, "\" of container \"", id_, "\" not found"));
  }
  return found->second;
}

void Task::State(const task::StateRequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> proc = Find(request.exec_id());
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
    case Status::kStarting:
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

void Task::Pids(const task::PidsRequest&, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find("");
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

void Task::Pause(const task::PauseRequest&, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find("");
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

void Task::Resume(const task::ResumeRequest&, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find("");
  if (!found.ok()) return reply(found.status());
  if (!paused_) return reply(absl::FailedPreconditionError("container is not paused"));
  if (absl::Status status = container_->Resume(); !status.ok()) return reply(status);
  paused_ = false;
  containerd::events::TaskResumed event;
  event.set_container_id(id_);
  Publish("/tasks/resumed", event);
  reply(Empty());
}

void Task::Checkpoint(const task::CheckpointTaskRequest&, const Reply& reply) {
  reply(absl::UnimplementedError(
      "checkpoint of a running container is not implemented: gantry does not drive criu"));
}

void Task::Kill(const task::KillRequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.exec_id());
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
    if (proc.status != Status::kRunning) {
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

void Task::Exec(const task::ExecProcessRequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find("");
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

void Task::ResizePty(const task::ResizePtyRequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.exec_id());
  if (!found.ok()) return reply(found.status());
  if ((*found)->io == nullptr)
    return reply(absl::FailedPreconditionError("process is not running"));
  if (absl::Status status = (*found)->io->Resize(request.width(), request.height()); !status.ok()) {
    return reply(status);
  }
  reply(Empty());
}

void Task::CloseIO(const task::CloseIORequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.exec_id());
  if (!found.ok()) return reply(found.status());
  if (request.stdin() && (*found)->io != nullptr) (*found)->io->CloseStdin();
  reply(Empty());
}

void Task::Update(const task::UpdateTaskRequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find("");
  if (!found.ok()) return reply(found.status());
  const absl::StatusOr<runtime::LinuxResources> resources =
      runtime::ParseResources(request.resources().value());
  if (!resources.ok()) return reply(resources.status());
  if (absl::Status status = container_->Update(*resources); !status.ok()) return reply(status);
  reply(Empty());
}

void Task::Wait(const task::WaitRequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.exec_id());
  if (!found.ok()) return reply(found.status());
  AfterExit(*found, [proc = *found, reply] {
    task::WaitResponse response;
    response.set_exit_status(proc->exit_status);
    SetTime(proc->exited_at, response.mutable_exited_at());
    reply(Bytes(response));
  });
}

void Task::Stats(const task::StatsRequest&, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find("");
  if (!found.ok()) return reply(found.status());
  const absl::StatusOr<runtime::CgroupStats> stats = container_->Stats();
  if (!stats.ok()) return reply(stats.status());
  Any any = runtime::StatsToAny(*stats);
  task::StatsResponse response;
  response.mutable_stats()->set_type_url(std::move(any.type_url));
  response.mutable_stats()->set_value(std::move(any.value));
  reply(Bytes(response));
}

}  // namespace gantry::shim
