// The parts of Task that see processes end.

#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/start_trace.h"
#include "proto/containerd/events/task.pb.h"
#include "shim/set_time.h"
#include "shim/task.h"

namespace gantry::shim {

bool Task::HandleChild(pid_t pid, uint32_t exit_status) {
  if (init_ != nullptr && init_->pid == pid) {
    HandleExit(init_, exit_status);
    return true;
  }
  for (const auto& [exec_id, proc] : execs_) {
    if (proc->pid != pid || proc->status != Status::kRunning) continue;
    HandleExit(ProcPtr(proc), exit_status);
    return true;
  }
  return false;
}

void Task::HandleExit(const ProcPtr& proc, uint32_t exit_status) {
  const bool is_init = proc->exec_id.empty();
  if (proc->status == Status::kStopped) return;
  context_.loop.Remove(is_init ? container_->pidfd() : proc->pidfd.get());
  proc->pidfd.reset();
  proc->status = Status::kStopped;
  proc->exit_status = exit_status;
  proc->exited_at = absl::Now();
  if (is_init) TraceStart(id_, "run and exit");
  if (is_init) paused_ = false;
  if (is_init && kill_rest_at_exit_) {
    if (absl::Status killed = container_->KillAll(SIGKILL); !killed.ok()) LogWarn(killed.message());
  }
  PublishOom();
  const auto tell = [self = shared_from_this(), proc] {
    proc->read = true;
    self->TellExits();
  };
  if (proc->io == nullptr) return tell();
  proc->io->WhenRead(tell);
}

void Task::TellExits() {
  bool execs_due = false;
  for (const auto& [exec_id, exec] : execs_) {
    if (exec->read && !exec->told) TellExit(ProcPtr(exec));
    execs_due = execs_due || exec->status == Status::kRunning ||
                (exec->status == Status::kStopped && !exec->told);
  }
  // Those that still run are about to be reaped: the kernel ended them with the init's pid
  // namespace, or KillAll did.
  if (init_ != nullptr && init_->read && !init_->told && !execs_due) TellExit(init_);
}

void Task::TellExit(const ProcPtr& proc) {
  containerd::events::TaskExit event;
  event.set_container_id(id_);
  event.set_id(proc->exec_id.empty() ? id_ : proc->exec_id);
  event.set_pid(static_cast<uint32_t>(proc->pid));
  event.set_exit_status(proc->exit_status);
  SetTime(proc->exited_at, event.mutable_exited_at());
  proc->told = true;
  proc->exit_event = Publish("/tasks/exit", event);
  const std::vector<std::function<void()>> waiting = std::move(proc->on_exit);
  proc->on_exit.clear();
  for (const std::function<void()>& one : waiting) {
    context_.events.WhenTold(proc->exit_event, one);
  }
  if (!proc->exec_id.empty()) return;
  // Unmounting takes as long as the rest of the exit: who waits for the exit knows of it first.
  context_.events.WhenTold(proc->exit_event, [self = shared_from_this()] {
    if (self->container_ != nullptr) self->container_->ReleaseMounts();
    TraceStart(self->id_, "unmount");
  });
}

void Task::AfterExit(const ProcPtr& proc, std::function<void()> then) {
  if (proc->told) return context_.events.WhenTold(proc->exit_event, std::move(then));
  proc->on_exit.push_back(std::move(then));
}

void Task::Delete(const task::DeleteRequest& request, const Reply& reply) {
  const absl::StatusOr<ProcPtr> found = Find(request.exec_id());
  if (!found.ok()) return reply(found.status());
  const ProcPtr proc = *found;
  if (proc->status == Status::kRunning || proc->status == Status::kStarting) {
    return reply(absl::FailedPreconditionError(absl::StrCat(
        "cannot delete a running process \"", proc->exec_id.empty() ? id_ : proc->exec_id, "\"")));
  }
  if (proc->status == Status::kCreated) {
    if (!proc->exec_id.empty()) return FinishDelete(proc, reply);
    if (absl::Status killed = container_->KillAll(SIGKILL); !killed.ok()) return reply(killed);
  }
  AfterExit(proc, [self = shared_from_this(), proc, reply] {
    if (proc->io == nullptr) return self->FinishDelete(proc, reply);
    proc->io->Finish([self, proc, reply] { self->FinishDelete(proc, reply); });
  });
}

void Task::FinishDelete(const ProcPtr& proc, const Reply& reply) {
  // Two Deletes may have waited for the same exit.
  const absl::StatusOr<ProcPtr> found = Find(proc->exec_id);
  if (!found.ok() || *found != proc) {
    return reply(absl::NotFoundError(absl::StrCat("process of container \"", id_, "\" not found")));
  }
  if (proc->exec_id.empty()) {
    if (absl::Status gone = container_->Destroy(); !gone.ok()) return reply(gone);
    TraceStart(id_, "remove cgroups");
  }
  proc->io.reset();
  task::DeleteResponse response;
  response.set_pid(static_cast<uint32_t>(proc->pid));
  response.set_exit_status(proc->exit_status);
  SetTime(proc->exited_at, response.mutable_exited_at());
  const auto answer_waiters = [](Proc& ended) {
    // Of a process that was added and never started.
    for (const std::function<void()>& one : std::exchange(ended.on_exit, {})) one();
  };
  if (!proc->exec_id.empty()) {
    execs_.erase(proc->exec_id);
    answer_waiters(*proc);
    context_.release_soon();
    return reply(response.SerializeAsString());
  }
  containerd::events::TaskDelete event;
  event.set_container_id(id_);
  event.set_pid(static_cast<uint32_t>(proc->pid));
  event.set_exit_status(proc->exit_status);
  SetTime(proc->exited_at, event.mutable_exited_at());
  if (oom_watch_) context_.loop.Remove(oom_watch_->fd());
  oom_watch_.reset();
  const std::map<std::string, ProcPtr> execs = std::exchange(execs_, {});
  init_.reset();
  const auto root = std::make_shared<UniqueFd>(container_->TakeRoot());
  container_.reset();
  gone_ = true;
  for (const auto& [exec_id, exec] : execs) answer_waiters(*exec);
  context_.events.WhenTold(
      Publish("/tasks/delete", event),
      [&loop = context_.loop, reply, root, id = id_, bytes = response.SerializeAsString()] {
        TraceStart(id, "publish delete");
        reply(bytes);
        // The kernel syncs what lies below an overlay when that goes; nobody
        // waits for it.
        loop.Post([root] { root->reset(); });
        FlushStartTrace();
      });
  // Of several containers the others idle on.
  context_.release_soon();
}

void Task::WatchOom() {
  absl::StatusOr<runtime::OomWatch> watch = container_->cgroup().WatchOom();
  if (!watch.ok()) return;  // no memory controller here: nothing to watch
  oom_watch_ = *std::move(watch);
  const absl::Status added =
      context_.loop.Add(oom_watch_->fd(), oom_watch_->events(), [this](uint32_t) {
        if (!oom_watch_->Clear()) context_.loop.Remove(oom_watch_->fd());
        PublishOom();
      });
  if (!added.ok()) LogWarn(added.message());
}

void Task::PublishOom() {
  if (container_ == nullptr) return;
  const absl::StatusOr<uint64_t> kills = container_->OomKills();
  if (!kills.ok() || *kills <= oom_kills_) return;
  oom_kills_ = *kills;
  containerd::events::TaskOOM event;
  event.set_container_id(id_);
  Publish("/tasks/oom", event);
}

}  // namespace gantry::shim
