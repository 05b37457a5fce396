#ifndef GANTRY_SERVICES_TASKS_TASK_CORE_H_
#define GANTRY_SERVICES_TASKS_TASK_CORE_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "services/tasks/bundle.h"
#include "services/tasks/task_manager.h"

// The inside of TaskManager, spread over task_*.cc by what it does. Not for others.

namespace gantry::tasks {

// Whether an exit has been told to the world. kPerhaps: it happened in an earlier life of the
// daemon, and its shim repeats it if it was not heard.
enum class Announced { kNo, kPerhaps, kYes };

struct Process {
  ProcessState state;
  bool exited = false;
  Announced announced = Announced::kNo;
  std::vector<Done<Exit>> waiters;
};

// Everything below is guarded by Core's mutex, but for what is never changed once Create or Restore
// has put the task into the map.
struct Task {
  std::string ns;
  std::string id;
  std::string bundle;
  std::string cgroups_path;
  std::string runtime;  // the name in the container's record; empty if that is gone

  bool ready = false;     // visible: the shim's Create has been answered
  bool deleting = false;  // a Delete is under way
  bool gone = false;      // the shim has ended, or its connection has
  bool retired = false;   // the shim's end is expected
  bool burying = false;
  bool buried = false;  // what the dead shim left is cleaned up and its exits are told
  std::vector<std::function<void()>> after_burial;

  std::shared_ptr<Shim> shim;
  UniqueFd shim_pidfd;
  ShimAddress address;
  std::shared_ptr<void> shim_log;
  UniqueFd init_pidfd;
  Process init;
  std::map<std::string, Process> execs;

  // Null if there is no such exec.
  Process* Find(const std::string& exec_id);
};

struct TaskManager::Core : std::enable_shared_from_this<TaskManager::Core> {
  using TaskPtr = std::shared_ptr<Task>;
  using Key = std::pair<std::string, std::string>;
  // A task and the shim to ask, taken together under the lock.
  struct Target {
    TaskPtr task;
    std::shared_ptr<Shim> shim;
  };

  Core(EventLoop& loop_in, Executor& executor_in, ShimLauncher& launcher_in, TaskEventSink& sink_in,
       TaskManagerOptions options_in)
      : loop(loop_in),
        executor(executor_in),
        launcher(launcher_in),
        sink(sink_in),
        options(std::move(options_in)),
        bundles(options.state_dir) {}

  // task_manager.cc
  TaskPtr Find(const std::string& ns, const std::string& id) const;  // takes the lock
  absl::StatusOr<Target> FindTarget(const std::string& ns, const std::string& id) const;
  // Records an exit and gives the waiters to be answered once the lock is let go. Lock held.
  static std::vector<std::function<void()>> RecordExit(Process& process, const Exit& exit);
  // Takes `process`'s exit for announcement by us, if nobody has announced it. Lock held.
  void TakeAnnouncement(const Task& task, Process& process, std::vector<ProcessExit>* events);
  static ProcessExit EventOf(const Task& task, const Process& process);

  // Takes a shim for its task. Takes the lock.
  void TakeShim(Task& task, LaunchedShim launched);
  // Whether the shim has other tasks, so that it is not ours to kill. Lock held.
  [[nodiscard]] bool IsShared(const Task& task) const;

  // task_create.cc
  void Create(const std::string& ns, const CreateTask& request, const Done<uint32_t>& done);
  absl::StatusOr<TaskPtr> Reserve(const std::string& ns, const CreateTask& request);
  void Created(const TaskPtr& task, uint32_t pid, const Done<uint32_t>& done);
  // Undoes a Create. `shim_failed`: the shim did not answer, so it did not clean up itself.
  void Undo(const TaskPtr& task, bool shim_failed);

  // Asks the shim of a program for the exit, in case that it does not forward events.
  void WaitInShim(const TaskPtr& task, const std::string& exec_id);
  void ExitedUnheard(const TaskPtr& task, const std::string& exec_id,
                     const gantry::tasks::Exit& exit);

  // task_death.cc
  // Watches the shim's pidfd and connection until it has ended.
  void Watch(const TaskPtr& task);
  void WatchPidfd(const TaskPtr& task);
  void ShimGone(const TaskPtr& task);
  // Cleans up after a dead shim once, then (or if that is done, at once) calls `then`.
  void Bury(const TaskPtr& task, std::function<void()> then);
  void BuryNow(const TaskPtr& task);
  void KillShim(const TaskPtr& task);
  // Kills the shim and waits a bounded time for its end. Blocks.
  void KillShimAndWait(const TaskPtr& task);
  // Of a shim that serves other tasks: closes this task's connection.
  void LetGoIfShared(const TaskPtr& task);
  // Asks the shim to end, and kills it if it does not.
  void Retire(const TaskPtr& task);

  // task_delete.cc
  void Delete(const std::string& ns, const std::string& id, const Done<Exit>& done);
  void DeleteInShim(const Target& target, const Done<Exit>& done);
  void FinishDelete(const TaskPtr& task, const Exit& exit, bool shim_lives, const Done<Exit>& done);

  // task_restore.cc
  absl::Status Restore();
  void RestoreOne(const TaskPtr& task, const std::function<void()>& done);
  void AskForState(const TaskPtr& task, uint32_t pid, const std::function<void()>& done);
  void AskAgain(const TaskPtr& task, uint32_t pid);
  void RestoreUnasked(const TaskPtr& task, uint32_t pid, const std::function<void()>& done);
  void CleanUpRefused(const TaskPtr& task, uint32_t pid);
  // What a shim says of a process becomes its record, unless an event came first. Gives the waiters
  // to be answered once the lock is let go. Lock held.
  static std::vector<std::function<void()>> Adopt(Process& process, const ProcessState& state);
  void RestoreExecs(const Target& target, const std::function<void()>& done);
  void Restored(const TaskPtr& task, const std::function<void()>& done);
  // Removes what a task without a living shim left, and tells its end.
  void CleanUpDead(const TaskPtr& task, bool announce);

  EventLoop& loop;
  Executor& executor;
  ShimLauncher& launcher;
  TaskEventSink& sink;
  const TaskManagerOptions options;
  const Bundles bundles;

  mutable std::mutex mutex;
  std::map<Key, TaskPtr> tasks;
  // Those whose shims live, deleted ones too.
  std::set<TaskPtr> watched;
  // Exits that we announced before their shim's event came, of processes whose records are gone:
  // the late event must not be published again. The oldest are forgotten.
  std::set<std::string> announced;
  std::deque<std::string> announced_order;
};

inline absl::Status TaskNotFound(const std::string& id) {
  return absl::NotFoundError(absl::StrCat("task ", id, " not found"));
}

inline absl::Status ExecNotFound(const std::string& exec_id) {
  return absl::NotFoundError(absl::StrCat("process does not exist ", exec_id, ": not found"));
}

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_TASK_CORE_H_
