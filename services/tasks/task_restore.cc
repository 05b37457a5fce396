#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <condition_variable>

#include "base/errors.h"
#include "base/file.h"
#include "base/identifiers.h"
#include "base/log.h"
#include "services/tasks/task_core.h"

namespace gantry::tasks {
namespace {

// The daemon died between taking a deleted task's bundle away and asking its shim to end. One of
// ours has no other container and has deleted that one; others' end by themselves.
void EndDiscardedShim(const std::string& bundle) {
  const absl::StatusOr<ShimAddress> address = ReadAddress(bundle);
  if (!address.ok() || !address->binary.empty()) return;
  const absl::StatusOr<std::string> boot_id = BootId();
  if (!boot_id.ok() || *boot_id != address->boot_id) return;
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, address->pid, 0)));
  // Asked after the pidfd was taken: the two are of one process.
  const absl::StatusOr<uint64_t> start_time = StartTimeOf(address->pid);
  if (!pidfd.valid() || !start_time.ok() || *start_time != address->start_time) return;
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
}

// Counts down to one; the last one home opens the door. Shared, since callbacks may outlive a wait.
class Latch {
 public:
  explicit Latch(size_t count) : count_(count) {}
  void CountDown() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) done_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  size_t count_;
};

// Between two questions to a shim that hangs; each waits for its own deadline besides.
constexpr absl::Duration kAskAgain = absl::Seconds(1);

}  // namespace

std::vector<std::function<void()>> TaskManager::Core::Adopt(Process& process,
                                                            const ProcessState& state) {
  if (process.exited) return {};
  process.state = state;
  if (state.status != Status::kStopped) return {};
  process.announced = Announced::kPerhaps;
  return RecordExit(process, {state.pid, state.exit_status, state.exited_at});
}

absl::Status TaskManager::Core::Restore() {
  for (const std::string& bundle : bundles.ListDiscarded()) {
    EndDiscardedShim(bundle);
    if (absl::Status removed = RemoveTree(bundle); !removed.ok()) LogWarn(removed.message());
  }
  GANTRY_ASSIGN_OR_RETURN(const auto found, bundles.List());
  std::vector<TaskPtr> restoring;
  for (const auto& [ns, id] : found) {
    if (!ValidateIdentifier("namespace", ns).ok() || !ValidateIdentifier("task", id).ok()) {
      LogWarn("a directory among the tasks is none of ours", {{"namespace", ns}, {"task", id}});
      continue;
    }
    auto task = std::make_shared<Task>();
    task->ns = ns;
    task->id = id;
    task->bundle = bundles.Path(ns, id);
    task->init.state.container_id = id;
    restoring.push_back(task);
    const std::lock_guard lock(mutex);
    tasks.emplace(Key(ns, id), task);
  }
  const auto latch = std::make_shared<Latch>(restoring.size() + 1);
  for (const TaskPtr& task : restoring) {
    executor.Run([core = shared_from_this(), task, latch] {
      core->RestoreOne(task, [latch] { latch->CountDown(); });
    });
  }
  latch->CountDown();
  latch->Wait();
  return absl::OkStatus();
}

// On the executor.
void TaskManager::Core::RestoreOne(const TaskPtr& task, const std::function<void()>& done) {
  if (const absl::StatusOr<std::string> config = ReadFile(task->bundle + "/config.json");
      config.ok()) {
    absl::StatusOr<std::string> path = CgroupsPathOf(*config);
    if (path.ok()) task->cgroups_path = path->empty() ? "/" + task->id : *std::move(path);
  }
  if (absl::StatusOr<ContainerInfo> container = options.find_container(task->ns, task->id);
      container.ok()) {
    task->runtime = std::move(container->runtime_name);
  }
  const uint32_t pid = ReadInitPid(task->bundle);
  absl::StatusOr<LaunchedShim> shim = launcher.Reconnect(task->ns, task->id, task->bundle);
  if (!shim.ok()) {
    LogWarn("a task's shim is gone", {{"namespace", task->ns},
                                      {"task", task->id},
                                      {"error", std::string(shim.status().message())}});
    task->init.state.pid = pid;
    CleanUpDead(task, pid != 0);
    return done();
  }
  TakeShim(*task, *std::move(shim));
  Watch(task);
  const auto told = std::make_shared<std::atomic<bool>>(false);
  const auto once = [told, done] {
    if (!told->exchange(true)) done();
  };
  loop.Post([weak_core = weak_from_this(), weak_task = std::weak_ptr<Task>(task), pid, once] {
    const std::shared_ptr<Core> core = weak_core.lock();
    if (core == nullptr) return;
    core->loop.After(core->options.restore_patience, [weak_core, weak_task, pid, once] {
      const std::shared_ptr<Core> core = weak_core.lock();
      const TaskPtr task = weak_task.lock();
      if (core != nullptr && task != nullptr) core->RestoreUnasked(task, pid, once);
    });
  });
  AskForState(task, pid, once);
}

void TaskManager::Core::AskForState(const TaskPtr& task, uint32_t pid,
                                    const std::function<void()>& done) {
  task->shim->State(
      task->id, "",
      [core = shared_from_this(), task, pid, done](const absl::StatusOr<ProcessState>& state) {
        if (absl::IsDeadlineExceeded(state.status())) {
          core->RestoreUnasked(task, pid, done);
          return core->AskAgain(task, pid);
        }
        if (!state.ok()) {
          return core->executor.Run([core, task, pid, done] {
            core->CleanUpRefused(task, pid);
            done();
          });
        }
        std::vector<std::function<void()>> answers;
        {
          const std::lock_guard lock(core->mutex);
          answers = Adopt(task->init, *state);
          task->init.state.container_id = task->id;
          task->init.state.exec_id.clear();
          if (!task->init.exited) {
            task->init_pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, state->pid, 0)));
          }
        }
        for (const std::function<void()>& answer : answers) answer();
        core->executor.Run([core, task, done] {
          core->RestoreExecs(Target{task, task->shim}, done);
        });
      });
}

// The shim hangs. The container may run well, and the record says what is known until the shim
// answers after all.
void TaskManager::Core::RestoreUnasked(const TaskPtr& task, uint32_t pid,
                                       const std::function<void()>& done) {
  {
    const std::lock_guard lock(mutex);
    if (task->ready || task->retired) return;
    if (task->init.state.pid == 0) task->init.state.pid = pid;
  }
  LogWarn("a task's shim does not answer", {{"namespace", task->ns}, {"task", task->id}});
  Restored(task, done);
}

// On the loop's thread.
void TaskManager::Core::AskAgain(const TaskPtr& task, uint32_t pid) {
  loop.After(kAskAgain, [weak_core = weak_from_this(), weak_task = std::weak_ptr<Task>(task), pid] {
    const std::shared_ptr<Core> core = weak_core.lock();
    const TaskPtr task = weak_task.lock();
    if (core == nullptr || task == nullptr) return;
    {
      const std::lock_guard lock(core->mutex);
      if (task->gone || task->retired || task->init.exited) return;
    }
    core->AskForState(task, pid, [] {});
  });
}

// It lives without its task: the daemon died between making the shim and the task, or between
// deleting the task and the shim. On the executor.
void TaskManager::Core::CleanUpRefused(const TaskPtr& task, uint32_t pid) {
  bool known = false;
  {
    const std::lock_guard lock(mutex);
    // Clients have seen it: it stays, stopped, until they delete it.
    known = task->ready;
    if (!known) task->init.state.pid = pid;
  }
  if (known) return Bury(task, [] {});
  CleanUpDead(task, pid != 0);
}

// On the executor.
void TaskManager::Core::RestoreExecs(const Target& target, const std::function<void()>& done) {
  const std::vector<std::string> execs = ListExecRecords(target.task->bundle);
  const auto missing = std::make_shared<std::atomic<size_t>>(execs.size() + 1);
  const auto finish = [core = shared_from_this(), task = target.task, missing, done] {
    if (missing->fetch_sub(1) == 1) core->Restored(task, done);
  };
  for (const std::string& exec_id : execs) {
    {
      const std::lock_guard lock(mutex);
      Process& exec = target.task->execs[exec_id];
      exec.state.container_id = target.task->id;
      exec.state.exec_id = exec_id;
    }
    target.shim->State(target.task->id, exec_id,
                       [core = shared_from_this(), task = target.task, exec_id,
                        finish](const absl::StatusOr<ProcessState>& state) {
                         std::vector<std::function<void()>> answers;
                         {
                           const std::lock_guard lock(core->mutex);
                           if (state.ok()) {
                             Process& exec = task->execs[exec_id];
                             answers = Adopt(exec, *state);
                             exec.state.container_id = task->id;
                             exec.state.exec_id = exec_id;
                           } else if (absl::IsNotFound(state.status())) {
                             task->execs.erase(exec_id);
                           }
                         }
                         for (const std::function<void()>& answer : answers) answer();
                         finish();
                       });
  }
  finish();
}

void TaskManager::Core::Restored(const TaskPtr& task, const std::function<void()>& done) {
  bool gone = false;
  bool first = false;
  {
    const std::lock_guard lock(mutex);
    first = !task->ready;
    task->ready = true;
    gone = task->gone;
  }
  // Whoever comes second has set the record right.
  if (!first) return done();
  if (gone) Bury(task, [] {});
  done();
  WaitInShim(task, "");
}

void TaskManager::Core::CleanUpDead(const TaskPtr& task, bool announce) {
  {
    const std::lock_guard lock(mutex);
    task->retired = true;
  }
  KillShimAndWait(task);
  if (!task->cgroups_path.empty()) options.clean_cgroup(task->cgroups_path);
  launcher.CleanUp(task->ns, task->id, task->bundle).status().IgnoreError();
  if (absl::Status removed = bundles.Remove(task->ns, task->id); !removed.ok()) {
    LogWarn(
        "remove the bundle of a dead task",
        {{"namespace", task->ns}, {"task", task->id}, {"error", std::string(removed.message())}});
  }
  std::vector<ProcessExit> exits;
  {
    const std::lock_guard lock(mutex);
    RecordExit(task->init, {task->init.state.pid, 128 + SIGKILL, absl::Now()});
    TakeAnnouncement(*task, task->init, &exits);
    tasks.erase({task->ns, task->id});
  }
  // A task that was never made has nothing to tell.
  if (!announce) return;
  for (const ProcessExit& exit : exits) sink.TaskExited(exit);
  sink.TaskDeleted(EventOf(*task, task->init));
}

}  // namespace gantry::tasks
