#include <signal.h>

#include "base/errors.h"
#include "base/fault_point.h"
#include "base/identifiers.h"
#include "base/log.h"
#include "base/start_trace.h"
#include "services/tasks/task_core.h"

// The calls that a shim answers: the record is asked first and kept in step.

namespace gantry::tasks {
namespace {

absl::Status Finished() { return absl::NotFoundError("process already finished: not found"); }

}  // namespace

void TaskManager::Start(const std::string& ns, const std::string& id, const std::string& exec_id,
                        Done<uint32_t> done) {
  absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  {
    const std::lock_guard lock(core_->mutex);
    if (target->task->Find(exec_id) == nullptr) target = ExecNotFound(exec_id);
  }
  if (!target.ok()) return done(target.status());
  if (absl::Status fault = FaultPoint("tasks.start.asked"); !fault.ok()) return done(fault);
  if (exec_id.empty()) TraceStart(id, "client: from Create to Start");
  target->shim->Start(id, exec_id,
                      [core = core_, task = target->task, exec_id,
                       done = std::move(done)](absl::StatusOr<uint32_t> pid) {
                        FaultPoint("tasks.start.answered").IgnoreError();
                        if (exec_id.empty()) TraceStart(task->id, "receive the answer to Start");
                        if (pid.ok()) {
                          const std::lock_guard lock(core->mutex);
                          Process* process = task->Find(exec_id);
                          // A short-lived process's exit may have come before this answer.
                          if (process != nullptr && !process->exited) {
                            process->state.pid = *pid;
                            if (process->state.status == Status::kCreated) {
                              process->state.status = Status::kRunning;
                            }
                          }
                        }
                        const bool started = pid.ok();
                        done(std::move(pid));
                        if (started && !exec_id.empty()) core->WaitInShim(task, exec_id);
                      });
}

void TaskManager::Kill(const std::string& ns, const std::string& id, const std::string& exec_id,
                       uint32_t signal, bool all, DoneStatus done) {
  absl::Status refused;
  Core::Target target;
  {
    const std::lock_guard lock(core_->mutex);
    const auto found = core_->tasks.find({ns, id});
    if (found == core_->tasks.end() || !found->second->ready) {
      refused = TaskNotFound(id);
    } else if (const Process* process = found->second->Find(exec_id); process == nullptr) {
      refused = ExecNotFound(exec_id);
    } else if (process->exited || found->second->gone) {
      refused = Finished();
    } else {
      target = {found->second, found->second->shim};
    }
  }
  if (!refused.ok()) return done(refused);
  const bool ends_container = signal == SIGKILL && exec_id.empty();
  target.shim->Kill(id, exec_id, signal, all,
                    [core = core_, task = target.task, ends_container,
                     done = std::move(done)](const absl::Status& killed) {
                      if (!ends_container || !absl::IsDeadlineExceeded(killed)) return done(killed);
                      LogWarn("a shim does not answer: its container is killed without it",
                              {{"namespace", task->ns}, {"task", task->id}});
                      core->Bury(task, [done] { done(absl::OkStatus()); });
                    });
}

void TaskManager::Exec(const std::string& ns, const std::string& id, const std::string& exec_id,
                       const Stdio& io, const Any& spec, DoneStatus done) {
  if (absl::Status valid = ValidateIdentifier("exec id", exec_id); !valid.ok()) return done(valid);
  if (exec_id == id) {
    // In events, an id that is the container's means its first process.
    return done(absl::InvalidArgumentError(
        absl::StrCat("exec id ", exec_id, " is the container's own id: invalid argument")));
  }
  absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  absl::Status refused;
  {
    const std::lock_guard lock(core_->mutex);
    Task& task = *target->task;
    Process exec;
    exec.state.container_id = id;
    exec.state.exec_id = exec_id;
    exec.state.io = io;
    exec.state.status = Status::kCreated;
    if (task.init.exited || task.deleting) {
      refused = absl::FailedPreconditionError(
          absl::StrCat("cannot exec in a stopped state: task ", id, ": failed precondition"));
    } else if (!task.execs.emplace(exec_id, std::move(exec)).second) {
      refused = absl::AlreadyExistsError(absl::StrCat("id ", exec_id, ": already exists"));
    }
  }
  if (!refused.ok()) return done(refused);
  const auto drop = [core = core_, task = target->task, exec_id] {
    std::vector<Done<tasks::Exit>> waiters;
    const std::lock_guard lock(core->mutex);
    if (Process* exec = task->Find(exec_id)) waiters.swap(exec->waiters);
    task->execs.erase(exec_id);
    return waiters;
  };
  // On the caller's thread: the record is an empty file on a tmpfs, dearer to hand over than to
  // make.
  absl::Status recorded = AddExecRecord(target->task->bundle, exec_id);
  if (recorded.ok()) recorded = FaultPoint("tasks.exec.recorded");
  if (!recorded.ok()) {
    for (const auto& waiter : drop()) waiter(ExecNotFound(exec_id));
    return done(Annotate(recorded, absl::StrCat("record exec ", exec_id)));
  }
  target->shim->Exec(id, exec_id, io, spec,
                     [task = target->task, exec_id, drop, done](const absl::Status& added) {
                       FaultPoint("tasks.exec.added").IgnoreError();
                       if (!added.ok()) {
                         for (const auto& waiter : drop()) waiter(ExecNotFound(exec_id));
                         RemoveExecRecord(task->bundle, exec_id);
                       }
                       done(added);
                     });
}

void TaskManager::ResizePty(const std::string& ns, const std::string& id,
                            const std::string& exec_id, uint32_t width, uint32_t height,
                            DoneStatus done) {
  const absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  target->shim->ResizePty(id, exec_id, width, height, std::move(done));
}

void TaskManager::CloseStdin(const std::string& ns, const std::string& id,
                             const std::string& exec_id, DoneStatus done) {
  const absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  target->shim->CloseStdin(id, exec_id, std::move(done));
}

void TaskManager::Pause(const std::string& ns, const std::string& id, DoneStatus done) {
  const absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  const auto move = [core = core_, task = target->task](Status from, Status to) {
    const std::lock_guard lock(core->mutex);
    if (task->init.state.status == from) task->init.state.status = to;
  };
  move(Status::kRunning, Status::kPausing);
  target->shim->Pause(id, [move, done = std::move(done)](const absl::Status& status) {
    move(Status::kPausing, status.ok() ? Status::kPaused : Status::kRunning);
    done(status);
  });
}

void TaskManager::Resume(const std::string& ns, const std::string& id, DoneStatus done) {
  const absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  target->shim->Resume(
      id, [core = core_, task = target->task, done = std::move(done)](const absl::Status& status) {
        if (status.ok()) {
          const std::lock_guard lock(core->mutex);
          if (task->init.state.status == Status::kPaused) {
            task->init.state.status = Status::kRunning;
          }
        }
        done(status);
      });
}

void TaskManager::Update(const std::string& ns, const std::string& id, const Any& resources,
                         DoneStatus done) {
  const absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  target->shim->Update(id, resources, std::move(done));
}

}  // namespace gantry::tasks
