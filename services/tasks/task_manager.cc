#include "services/tasks/task_manager.h"

#include <signal.h>

#include "base/errors.h"
#include "base/identifiers.h"
#include "base/log.h"
#include "base/start_trace.h"
#include "runtime/cgroup/cgroup.h"
#include "services/tasks/task_core.h"

namespace gantry::tasks {
namespace {

// Announced exits whose shims' own events may still be on their way.
constexpr size_t kRememberedExits = 1024;

std::string ExitKey(const ProcessExit& event) {
  return absl::StrCat(event.ns, "/", event.container_id, "/", event.exec_id, "/", event.exit.pid);
}

void CleanCgroup(const std::string& cgroups_path) {
  absl::StatusOr<std::unique_ptr<runtime::Cgroup>> cgroup = runtime::Cgroup::Open(cgroups_path);
  if (absl::IsNotFound(cgroup.status())) return;
  absl::Status status = cgroup.status();
  if (status.ok()) status = (*cgroup)->KillAll(SIGKILL);
  if (status.ok()) status = (*cgroup)->Remove();
  if (!status.ok()) {
    LogWarn("clean up the cgroup of a dead shim",
            {{"cgroup", cgroups_path}, {"error", std::string(status.message())}});
  }
}

}  // namespace

Process* Task::Find(const std::string& exec_id) {
  if (exec_id.empty()) return &init;
  const auto found = execs.find(exec_id);
  return found == execs.end() ? nullptr : &found->second;
}

TaskManager::Core::TaskPtr TaskManager::Core::Find(const std::string& ns,
                                                   const std::string& id) const {
  const std::lock_guard lock(mutex);
  const auto found = tasks.find({ns, id});
  return found == tasks.end() ? nullptr : found->second;
}

absl::StatusOr<TaskManager::Core::Target> TaskManager::Core::FindTarget(
    const std::string& ns, const std::string& id) const {
  const std::lock_guard lock(mutex);
  const auto found = tasks.find({ns, id});
  if (found == tasks.end() || !found->second->ready) return TaskNotFound(id);
  if (found->second->gone) {
    return absl::FailedPreconditionError(
        absl::StrCat("task ", id, " is stopped: its shim has ended: failed precondition"));
  }
  return Target{found->second, found->second->shim};
}

std::vector<std::function<void()>> TaskManager::Core::RecordExit(Process& process,
                                                                 const gantry::tasks::Exit& exit) {
  if (process.exited) return {};
  process.exited = true;
  process.state.status = Status::kStopped;
  process.state.exit_status = exit.status;
  process.state.exited_at = exit.at;
  if (process.state.pid == 0) process.state.pid = exit.pid;
  std::vector<std::function<void()>> answers;
  answers.reserve(process.waiters.size());
  for (Done<gantry::tasks::Exit>& waiter : process.waiters) {
    answers.push_back([waiter = std::move(waiter), exit] { waiter(exit); });
  }
  process.waiters.clear();
  return answers;
}

ProcessExit TaskManager::Core::EventOf(const Task& task, const Process& process) {
  return {task.ns,
          task.id,
          process.state.exec_id,
          {process.state.pid, process.state.exit_status, process.state.exited_at}};
}

void TaskManager::Core::TakeAnnouncement(const Task& task, Process& process,
                                         std::vector<ProcessExit>* events) {
  if (!process.exited || process.announced != Announced::kNo) return;
  process.announced = Announced::kYes;
  events->push_back(EventOf(task, process));
  std::string key = ExitKey(events->back());
  if (!announced.insert(key).second) return;
  announced_order.push_back(std::move(key));
  if (announced_order.size() <= kRememberedExits) return;
  announced.erase(announced_order.front());
  announced_order.pop_front();
}

void TaskManager::Core::TakeShim(Task& task, LaunchedShim launched) {
  const std::lock_guard lock(mutex);
  task.shim = std::move(launched.shim);
  task.shim_pidfd = std::move(launched.pidfd);
  task.address = std::move(launched.address);
  task.shim_log = std::move(launched.log);
}

bool TaskManager::Core::IsShared(const Task& task) const {
  if (task.address.binary.empty()) return false;
  for (const auto& [key, other] : tasks) {
    if (other.get() != &task && other->address.socket == task.address.socket) return true;
  }
  return false;
}

TaskManager::TaskManager(EventLoop& loop, Executor& executor, ShimLauncher& launcher,
                         TaskEventSink& sink, TaskManagerOptions options) {
  if (!options.clean_cgroup) options.clean_cgroup = CleanCgroup;
  core_ = std::make_shared<Core>(loop, executor, launcher, sink, std::move(options));
}

TaskManager::~TaskManager() {
  // Letting go of the tasks closes their connections; the shims themselves live on. Callbacks that
  // are still under way hold the core and find it empty.
  std::map<Core::Key, Core::TaskPtr> tasks;
  std::set<Core::TaskPtr> watched;
  {
    const std::lock_guard lock(core_->mutex);
    tasks.swap(core_->tasks);
    watched.swap(core_->watched);
    for (const Core::TaskPtr& task : watched) task->retired = true;
  }
}

absl::Status TaskManager::Restore() { return core_->Restore(); }

void TaskManager::Create(const std::string& ns, CreateTask request, Done<uint32_t> done) {
  TraceStart(request.id, "");
  core_->executor.Run([core = core_, ns, request = std::move(request), done = std::move(done)] {
    core->Create(ns, request, done);
  });
}

void TaskManager::Delete(const std::string& ns, const std::string& id, Done<tasks::Exit> done) {
  core_->Delete(ns, id, done);
}

absl::StatusOr<ProcessState> TaskManager::Get(const std::string& ns, const std::string& id,
                                              const std::string& exec_id) const {
  const std::lock_guard lock(core_->mutex);
  const auto found = core_->tasks.find({ns, id});
  if (found == core_->tasks.end() || !found->second->ready) return TaskNotFound(id);
  const Process* process = found->second->Find(exec_id);
  if (process == nullptr) return ExecNotFound(exec_id);
  return process->state;
}

std::vector<ProcessState> TaskManager::List(const std::string& ns) const {
  std::vector<ProcessState> states;
  const std::lock_guard lock(core_->mutex);
  for (auto at = core_->tasks.lower_bound({ns, ""});
       at != core_->tasks.end() && at->first.first == ns; ++at) {
    if (at->second->ready) states.push_back(at->second->init.state);
  }
  return states;
}

void TaskManager::Wait(const std::string& ns, const std::string& id, const std::string& exec_id,
                       Done<tasks::Exit> done) {
  absl::StatusOr<tasks::Exit> answer = TaskNotFound(id);
  {
    const std::lock_guard lock(core_->mutex);
    const auto found = core_->tasks.find({ns, id});
    if (found != core_->tasks.end() && found->second->ready) {
      Process* process = found->second->Find(exec_id);
      if (process == nullptr) {
        answer = ExecNotFound(exec_id);
      } else if (process->exited) {
        answer = Core::EventOf(*found->second, *process).exit;
      } else {
        process->waiters.push_back(std::move(done));
        return;
      }
    }
  }
  done(std::move(answer));
}

bool TaskManager::HandleExit(const ProcessExit& event) {
  std::vector<std::function<void()>> answers;
  {
    const std::lock_guard lock(core_->mutex);
    // Announced by us already, whether or not the record is still there.
    if (core_->announced.erase(ExitKey(event)) != 0) return false;
    const auto found = core_->tasks.find({event.ns, event.container_id});
    if (found == core_->tasks.end()) return true;
    Process* process = found->second->Find(event.exec_id);
    if (process == nullptr) return true;
    // An earlier process of the same name: it is news, but not of this record.
    if (process->state.pid != 0 && process->state.pid != event.exit.pid) return true;
    if (process->announced == Announced::kYes) return false;
    if (event.exec_id.empty()) TraceStart(event.container_id, "tell the daemon of the exit");
    answers = Core::RecordExit(*process, event.exit);
    process->announced = Announced::kYes;
  }
  // Waiters hear of it after the caller has published the event: clients that wait and listen rely
  // on that order.
  if (!answers.empty()) {
    core_->loop.Post([answers = std::move(answers)] {
      for (const std::function<void()>& answer : answers) answer();
    });
  }
  return true;
}

void TaskManager::HandleStart(const std::string& ns, const std::string& id,
                              const std::string& exec_id, uint32_t pid) {
  const std::lock_guard lock(core_->mutex);
  const auto found = core_->tasks.find({ns, id});
  if (found == core_->tasks.end()) return;
  Process* process = found->second->Find(exec_id);
  if (process == nullptr || process->exited) return;
  process->state.pid = pid;
  if (process->state.status == Status::kCreated) process->state.status = Status::kRunning;
}

void TaskManager::HandlePaused(const std::string& ns, const std::string& id, bool paused) {
  const std::lock_guard lock(core_->mutex);
  const auto found = core_->tasks.find({ns, id});
  if (found == core_->tasks.end() || found->second->init.exited) return;
  found->second->init.state.status = paused ? Status::kPaused : Status::kRunning;
}

}  // namespace gantry::tasks
