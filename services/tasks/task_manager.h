#ifndef GANTRY_SERVICES_TASKS_TASK_MANAGER_H_
#define GANTRY_SERVICES_TASKS_TASK_MANAGER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/any.h"
#include "base/event_loop.h"
#include "base/executor.h"
#include "services/tasks/runtime_names.h"
#include "services/tasks/shim.h"
#include "services/tasks/tasks.h"

namespace gantry::tasks {

// The part of a container's record that a task is made from.
struct ContainerInfo {
  std::string runtime_name;
  Any runtime_options;
  Any spec;  // JSON of the OCI runtime-spec
  // For the mount of its root, besides those that the client gives.
  std::vector<std::string> root_options = {};
};

// An event as the manager speaks of it: exits of processes and deletions of tasks.
struct ProcessExit {
  std::string ns;
  std::string container_id;
  std::string exec_id;  // empty for the init
  Exit exit;
};

// Where the manager announces what no shim is left to announce. Called on any thread, never under
// the manager's lock; must not block for long.
class TaskEventSink {
 public:
  virtual ~TaskEventSink() = default;
  virtual void TaskExited(const ProcessExit& event) = 0;
  virtual void TaskDeleted(const ProcessExit& event) = 0;
};

// What the manager needs from outside; a test gives its own.
struct TaskManagerOptions {
  std::string state_dir;  // tasks/<namespace>/<id>/ is made below it
  // Errors: NotFound if the namespace has no such container. May block.
  std::function<absl::StatusOr<ContainerInfo>(const std::string& ns, const std::string& id)>
      find_container;
  RuntimeNames runtimes;
  // Kills what is left in a dead shim's cgroup and removes it. May block. The default does it by
  // runtime::Cgroup.
  std::function<void(const std::string& cgroups_path)> clean_cgroup;
  // How long a stopped task's shim may take to end by itself before it is killed.
  absl::Duration shutdown_timeout = absl::Seconds(10);
  // How long Restore waits for a shim to answer before it takes up the task without.
  absl::Duration restore_patience = absl::Seconds(3);
};

struct CreateTask {
  std::string id;
  std::vector<Mount> rootfs;
  Stdio io;
  Any options;  // empty: the container record's
  bool from_checkpoint = false;
  std::string runtime_path;
};

struct TaskMetrics {
  std::string id;
  absl::Time at;
  Any data;
};

struct Task;

// All tasks of all namespaces. The record here is the truth for Get, List and Wait: a shim that
// hangs slows nobody else. It is kept by the answers of shim calls, by the events that shims
// forward (HandleExit and its kin) and by the shims' pidfds.
//
// Guarantees: an exit is in the record before anybody hears of it, and each process's exit is
// announced once, by its shim or, if that has died, by the manager (status 137).
//
// Threads: any. Callbacks (`done`) run on the loop's thread, on an executor's, or within the call.
// Disk work happens on the executor. Loop, executor, launcher and sink outlive the manager; destroy
// it after the loop has stopped and the executor is gone or idle.
class TaskManager {
 public:
  TaskManager(EventLoop& loop, Executor& executor, ShimLauncher& launcher, TaskEventSink& sink,
              TaskManagerOptions options);
  ~TaskManager();
  TaskManager(const TaskManager&) = delete;
  TaskManager& operator=(const TaskManager&) = delete;

  // Finds the tasks of an earlier life of the daemon: living shims are connected to, what dead ones
  // left is cleaned up and told by an exit and a delete event. Blocks until every shim has answered
  // or restore_patience has passed: the status of a task whose shim hangs is kUnknown until that
  // answers; the loop must be running on another thread. Call once, before
  // requests and, so that no forwarded exit is missed, before shims can forward events.
  absl::Status Restore();

  // Gives the pid of the init, which waits for Start. Errors: NotFound without such a container;
  // AlreadyExists; those of RuntimeNames::Resolve; "failed to create shim task: ..."
  // with the shim's code, after which nothing is left.
  void Create(const std::string& ns, CreateTask request, Done<uint32_t> done);
  void Start(const std::string& ns, const std::string& id, const std::string& exec_id,
             Done<uint32_t> done);
  // Errors: FailedPrecondition if the task is running.
  void Delete(const std::string& ns, const std::string& id, Done<Exit> done);
  void DeleteProcess(const std::string& ns, const std::string& id, const std::string& exec_id,
                     Done<Exit> done);
  absl::StatusOr<ProcessState> Get(const std::string& ns, const std::string& id,
                                   const std::string& exec_id) const;
  std::vector<ProcessState> List(const std::string& ns) const;
  // SIGKILL to the first process also ends a container whose shim hangs, and that shim.
  // Errors: NotFound "process already finished".
  void Kill(const std::string& ns, const std::string& id, const std::string& exec_id,
            uint32_t signal, bool all, DoneStatus done);
  void Exec(const std::string& ns, const std::string& id, const std::string& exec_id,
            const Stdio& io, const Any& spec, DoneStatus done);
  void ResizePty(const std::string& ns, const std::string& id, const std::string& exec_id,
                 uint32_t width, uint32_t height, DoneStatus done);
  void CloseStdin(const std::string& ns, const std::string& id, const std::string& exec_id,
                  DoneStatus done);
  void Pause(const std::string& ns, const std::string& id, DoneStatus done);
  void Resume(const std::string& ns, const std::string& id, DoneStatus done);
  void Update(const std::string& ns, const std::string& id, const Any& resources, DoneStatus done);
  void ListPids(const std::string& ns, const std::string& id, Done<std::vector<PidInfo>> done);
  // Of the tasks that `wanted` picks, from their cgroups. A task that has none here is asked for by
  // its shim, and left out if that does not answer in time.
  void Metrics(const std::string& ns, const std::function<bool(const ProcessState&)>& wanted,
               std::function<void(std::vector<TaskMetrics>)> done);
  // Answers when the process has exited, at once if it has; before and after Start. Holds no
  // thread. Errors: NotFound.
  void Wait(const std::string& ns, const std::string& id, const std::string& exec_id,
            Done<Exit> done);

  // Of all tasks of all namespaces, as far as they have cgroups here. Blocks.
  [[nodiscard]] std::vector<ContainerStats> ReadStats() const;
  [[nodiscard]] TaskCounts Count() const;
  // One call of the Task API to the shim of a task, and its answer, as bytes. It passes by the
  // record, which hears of it by the shim's events.
  void CallShim(const std::string& ns, const std::string& id, const std::string& method,
                std::string payload, Done<std::string> done);

  // The events that shims forward, told here before they are published. False: the event is not to
  // be published, the exit has been announced already.
  bool HandleExit(const ProcessExit& event);
  void HandleStart(const std::string& ns, const std::string& id, const std::string& exec_id,
                   uint32_t pid);
  void HandlePaused(const std::string& ns, const std::string& id, bool paused);

 private:
  struct Core;
  // Shared with callbacks under way, which find it stopped once the manager is gone.
  std::shared_ptr<Core> core_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_TASK_MANAGER_H_
