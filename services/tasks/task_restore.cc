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

// What a shim says of a process becomes its record, unless an event came first.
void Adopt(Process& process, const ProcessState& state) {
  if (process.exited) return;
  process.state = state;
  if (state.status != Status::kStopped) return;
  process.exited = true;
  process.announced = Announced::kPerhaps;
}

}  // namespace

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
  task->shim->State(
      task->id, "",
      [core = shared_from_this(), task, pid, done](const absl::StatusOr<ProcessState>& state) {
        if (state.ok()) {
          {
            const std::lock_guard lock(core->mutex);
            Adopt(task->init, *state);
            task->init.state.container_id = task->id;
            task->init.state.exec_id.clear();
            if (!task->init.exited) {
              task->init_pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, state->pid, 0)));
            }
          }
          return core->executor.Run([core, task, done] {
            core->RestoreExecs(Target{task, task->shim}, done);
          });
        }
        if (absl::IsDeadlineExceeded(state.status())) {
          // It hangs: the container may run well, and the record says what is known.
          {
            const std::lock_guard lock(core->mutex);
            task->init.state.pid = pid;
            task->init.state.status = Status::kUnknown;
          }
          return core->Restored(task, done);
        }
        // It lives without its task: the daemon died between making the shim and the task, or
        // between deleting the task and the shim.
        core->executor.Run([core, task, pid, done] {
          task->init.state.pid = pid;
          core->CleanUpDead(task, pid != 0);
          done();
        });
      });
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
                         {
                           const std::lock_guard lock(core->mutex);
                           if (state.ok()) {
                             Process& exec = task->execs[exec_id];
                             Adopt(exec, *state);
                             exec.state.container_id = task->id;
                             exec.state.exec_id = exec_id;
                           } else if (absl::IsNotFound(state.status())) {
                             task->execs.erase(exec_id);
                           }
                         }
                         finish();
                       });
  }
  finish();
}

void TaskManager::Core::Restored(const TaskPtr& task, const std::function<void()>& done) {
  bool gone = false;
  {
    const std::lock_guard lock(mutex);
    task->ready = true;
    gone = task->gone;
  }
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
