#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "base/start_trace.h"
#include "services/tasks/task_core.h"

namespace gantry::tasks {
namespace {

bool IsLive(Status status) {
  return status == Status::kRunning || status == Status::kPaused || status == Status::kPausing ||
         status == Status::kUnknown;
}

absl::Status StillRunning(const std::string& id) {
  return absl::FailedPreconditionError(
      absl::StrCat("task ", id, " must be stopped before deletion: running: failed precondition"));
}

}  // namespace

void TaskManager::Core::Delete(const std::string& ns, const std::string& id,
                               const Done<gantry::tasks::Exit>& done) {
  Target target;
  bool gone = false;
  bool live = false;
  absl::Status refused;
  {
    const std::lock_guard lock(mutex);
    const auto found = tasks.find({ns, id});
    if (found == tasks.end() || !found->second->ready) {
      refused = TaskNotFound(id);
    } else if (found->second->deleting) {
      refused = absl::FailedPreconditionError(
          absl::StrCat("task ", id, " is being deleted already: failed precondition"));
    } else {
      target = {found->second, found->second->shim};
      gone = target.task->gone;
      live = IsLive(target.task->init.state.status);
      target.task->deleting = true;
    }
  }
  if (!refused.ok()) return done(refused);
  if (gone) {
    return Bury(target.task, [core = shared_from_this(), task = target.task, done] {
      core->FinishDelete(task, EventOf(*task, task->init).exit, false, done);
    });
  }
  if (!live) return DeleteInShim(target, done);

  // The record says that it runs; its exit's event may be on the way, which the shim knows.
  target.shim->State(
      id, "", [core = shared_from_this(), target, done](const absl::StatusOr<ProcessState>& state) {
        if (absl::IsUnavailable(state.status())) return core->DeleteInShim(target, done);
        std::vector<std::function<void()>> answers;
        absl::Status refused = state.status();
        {
          const std::lock_guard lock(core->mutex);
          Task& task = *target.task;
          if (state.ok() && state->status == Status::kStopped) {
            answers = RecordExit(task.init, {state->pid, state->exit_status, state->exited_at});
          } else if (refused.ok() && !task.init.exited) {
            refused = StillRunning(task.id);
          }
          if (!refused.ok()) task.deleting = false;
        }
        for (const std::function<void()>& answer : answers) answer();
        if (!refused.ok()) return done(refused);
        core->DeleteInShim(target, done);
      });
}

void TaskManager::Core::DeleteInShim(const Target& target, const Done<gantry::tasks::Exit>& done) {
  TraceStart(target.task->id, "client: from the exit to Delete");
  target.shim->Delete(
      target.task->id, "",
      [core = shared_from_this(), task = target.task,
       done](const absl::StatusOr<gantry::tasks::Exit>& exit) {
        FaultPoint("tasks.delete.in_shim").IgnoreError();
        // A shim that is gone or hangs holds nothing up: it is killed, and the record answers. One
        // that does not know the task has deleted it before.
        if (absl::IsUnavailable(exit.status()) || absl::IsDeadlineExceeded(exit.status())) {
          return core->Bury(task, [core, task, done] {
            core->FinishDelete(task, EventOf(*task, task->init).exit, false, done);
          });
        }
        if (!exit.ok() && !absl::IsNotFound(exit.status())) {
          {
            const std::lock_guard lock(core->mutex);
            task->deleting = false;
          }
          return done(exit.status());
        }
        gantry::tasks::Exit told = exit.ok() ? *exit : EventOf(*task, task->init).exit;
        if (told.pid == 0) told.pid = task->init.state.pid;
        core->executor.Run(
            [core, task, told, done] { core->FinishDelete(task, told, true, done); });
      });
}

void TaskManager::Core::FinishDelete(const TaskPtr& task, const gantry::tasks::Exit& exit,
                                     bool shim_lives, const Done<gantry::tasks::Exit>& done) {
  TraceStart(task->id, "receive the answer to Delete");
  if (shim_lives) {
    const std::lock_guard lock(mutex);
    task->retired = true;
  }
  FaultPoint("tasks.delete.bundle").IgnoreError();
  launcher.Forget(task->ns, task->id, task->bundle);
  const absl::StatusOr<std::string> discarded = bundles.Discard(task->ns, task->id);
  absl::Status removed = discarded.status();
  std::vector<std::function<void()>> answers;
  std::vector<ProcessExit> events;
  {
    const std::lock_guard lock(mutex);
    // The exit comes before the answer to Delete, even if the shim's own event is late. A task that
    // was never started has no exit to tell.
    TakeAnnouncement(*task, task->init, &events);
    const auto end = [&](Process& process) {
      for (auto& answer : RecordExit(process, {process.state.pid, exit.status, exit.at})) {
        answers.push_back(std::move(answer));
      }
    };
    end(task->init);
    for (auto& [id, exec] : task->execs) end(exec);
    tasks.erase({task->ns, task->id});
  }
  for (const ProcessExit& event : events) sink.TaskExited(event);
  for (const std::function<void()>& answer : answers) answer();
  if (!shim_lives) sink.TaskDeleted({task->ns, task->id, "", exit});
  TraceStart(task->id, "discard the bundle");
  done(exit);
  // Nobody waits for the rest, and the end of a process takes the processor's time.
  if (shim_lives) Retire(task);
  if (removed.ok() && !discarded->empty()) removed = RemoveTree(*discarded);
  if (!removed.ok()) {
    LogWarn(
        "remove the bundle of a deleted task",
        {{"namespace", task->ns}, {"task", task->id}, {"error", std::string(removed.message())}});
  }
  FlushStartTrace();
}

void TaskManager::DeleteProcess(const std::string& ns, const std::string& id,
                                const std::string& exec_id, Done<tasks::Exit> done) {
  if (exec_id.empty()) {
    return done(absl::InvalidArgumentError(
        absl::StrCat("delete process of task ", id, ": exec id is empty")));
  }
  // Takes the exec out of the record, if `answer` allows, and answers.
  const auto finish = [core = core_, exec_id, done](const Core::TaskPtr& task,
                                                    absl::StatusOr<tasks::Exit> answer) {
    std::vector<std::function<void()>> answers;
    std::vector<ProcessExit> events;
    {
      const std::lock_guard lock(core->mutex);
      Process* process = task->Find(exec_id);
      if (process != nullptr && (answer.ok() || absl::IsNotFound(answer.status()))) {
        core->TakeAnnouncement(*task, *process, &events);
        const tasks::Exit exit =
            answer.ok() ? *answer : tasks::Exit{process->state.pid, 255, absl::Now()};
        answers = Core::RecordExit(*process, exit);
        task->execs.erase(exec_id);
      }
    }
    // Before the answer: the client may take the id again, for an exec that has a record, too.
    if (answer.ok()) RemoveExecRecord(task->bundle, exec_id);
    for (const ProcessExit& event : events) core->sink.TaskExited(event);
    for (const std::function<void()>& waiter : answers) waiter();
    done(std::move(answer));
  };

  Core::Target target;
  bool gone = false;
  absl::StatusOr<tasks::Exit> known = TaskNotFound(id);
  {
    const std::lock_guard lock(core_->mutex);
    const auto found = core_->tasks.find({ns, id});
    if (found != core_->tasks.end() && found->second->ready) {
      target = {found->second, found->second->shim};
      Process* process = target.task->Find(exec_id);
      gone = target.task->gone;
      if (process == nullptr) {
        known = ExecNotFound(exec_id);
        target.task = nullptr;
      } else {
        known = Core::EventOf(*target.task, *process).exit;
      }
    }
  }
  if (target.task == nullptr) return done(known);
  const auto from_record = [finish, task = target.task, core = core_, exec_id] {
    absl::StatusOr<tasks::Exit> exit = ExecNotFound(exec_id);
    {
      const std::lock_guard lock(core->mutex);
      if (const Process* process = task->Find(exec_id)) exit = Core::EventOf(*task, *process).exit;
    }
    finish(task, exit);
  };
  if (gone) return core_->Bury(target.task, from_record);
  target.shim->Delete(id, exec_id,
                      [core = core_, task = target.task, finish,
                       from_record](const absl::StatusOr<tasks::Exit>& exit) {
                        if (absl::IsUnavailable(exit.status()))
                          return core->Bury(task, from_record);
                        finish(task, exit);
                      });
}

}  // namespace gantry::tasks
