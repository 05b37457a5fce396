#ifndef GANTRY_SHIM_TASK_H_
#define GANTRY_SHIM_TASK_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "proto/containerd/task/v2/shim.pb.h"
#include "runtime/container.h"
#include "shim/event_queue.h"
#include "shim/process_io.h"
#include "ttrpc/server.h"

namespace gantry::shim {

namespace task = ::containerd::task::v2;

// What the containers of one shim share. Outlives them.
struct TaskContext {
  EventLoop& loop;
  EventQueue& events;
  runtime::SeccompCache& seccomp;
  std::string ns;
  // Collects every child that has ended (TaskService::Reap).
  std::function<void()> reap;
  // Gives memory back once work has rested for a moment; asked for again meanwhile, once all the
  // same.
  std::function<void()> release_soon;
};

// One container of the shim: its init process and those added by Exec, behind the Task API. Held by
// shared pointers, since calls that wait hold it too. Loop thread only.
class Task : public std::enable_shared_from_this<Task> {
 public:
  using Reply = ttrpc::Reply;

  Task(TaskContext& context, std::string id) : context_(context), id_(std::move(id)) {}
  ~Task();
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  // Once, first. After an error, and after Delete of the init process, there is no container:
  // `gone` is true and the object is to be dropped.
  void Create(const task::CreateTaskRequest& request, Reply reply);
  [[nodiscard]] bool gone() const { return gone_; }

  void State(const task::StateRequest& request, const Reply& reply);
  void Start(const task::StartRequest& request, const Reply& reply);
  void Delete(const task::DeleteRequest& request, const Reply& reply);
  void Pids(const task::PidsRequest& request, const Reply& reply);
  void Pause(const task::PauseRequest& request, const Reply& reply);
  void Resume(const task::ResumeRequest& request, const Reply& reply);
  void Checkpoint(const task::CheckpointTaskRequest& request, const Reply& reply);
  void Kill(const task::KillRequest& request, const Reply& reply);
  void Exec(const task::ExecProcessRequest& request, const Reply& reply);
  void ResizePty(const task::ResizePtyRequest& request, const Reply& reply);
  void CloseIO(const task::CloseIORequest& request, const Reply& reply);
  void Update(const task::UpdateTaskRequest& request, const Reply& reply);
  void Wait(const task::WaitRequest& request, const Reply& reply);
  void Stats(const task::StatsRequest& request, const Reply& reply);

  // Of the init process; 0 if there is none yet.
  [[nodiscard]] pid_t pid() const { return init_ == nullptr ? 0 : init_->pid; }
  // Takes note of the end of a process of this container; false if it is none of them.
  bool HandleChild(pid_t pid, uint32_t exit_status);
  // Nothing was asked for a while: lets go of what makes the next exec faster.
  void Rest();

 private:
  enum class Status { kCreated, kStarting, kRunning, kStopped };
  struct Proc {
    std::string exec_id;  // empty: init
    IoNames names;
    Status status = Status::kCreated;
    pid_t pid = 0;
    UniqueFd pidfd;                             // of an exec
    std::unique_ptr<runtime::Process> process;  // of an exec, until it is started
    std::unique_ptr<ProcessIo> io;
    uint32_t exit_status = 0;
    absl::Time exited_at;
    bool read = false;  // after the exit: the client has what the process wrote
    bool told = false;  // its exit event is in the queue, with this number
    uint64_t exit_event = 0;
    std::vector<std::function<void()>> on_exit;
  };
  using ProcPtr = std::shared_ptr<Proc>;

  absl::StatusOr<ProcPtr> Find(const std::string& exec_id) const;

  // task_processes.cc
  absl::Status Prepare(const task::CreateTaskRequest& request, runtime::CreateOptions* options,
                       Proc* init);
  absl::Status MakeContainer(runtime::CreateOptions options, Proc* init);
  void FinishCreate(const task::CreateTaskRequest& request, const ProcPtr& init,
                    const absl::Status& made, const Reply& reply);
  void StartInit(const ProcPtr& init, const Reply& reply);
  void StartExec(const ProcPtr& proc, const Reply& reply);
  absl::Status RunExec(Proc* proc);
  void ReplyStarted(const Proc& proc, const Reply& reply) const;
  IoSettings SettingsOf(const IoNames& names) const;
  void RecordState(pid_t pid) const;

  // task_exits.cc
  void HandleExit(const ProcPtr& proc, uint32_t exit_status);
  // Publishes the exits that are due, each once its output was read: those of execs at once, the
  // init's after them.
  void TellExits();
  void TellExit(const ProcPtr& proc);
  void PublishOom();
  void WatchOom();
  // Calls `then` when `proc` has ended and its exit event has been told.
  void AfterExit(const ProcPtr& proc, std::function<void()> then);
  void FinishDelete(const ProcPtr& proc, const Reply& reply);

  template <typename Message>
  uint64_t Publish(const char* topic, const Message& message) {
    return context_.events.Publish(topic, message.GetTypeName(), message.SerializeAsString());
  }

  TaskContext& context_;
  const std::string id_;
  std::string bundle_;
  std::string cgroups_path_;
  uid_t io_uid_ = 0;
  gid_t io_gid_ = 0;
  bool kill_rest_at_exit_ = false;  // init has no pid namespace of its own
  bool paused_ = false;
  bool gone_ = false;
  uint64_t oom_kills_ = 0;
  std::optional<runtime::OomWatch> oom_watch_;
  std::unique_ptr<runtime::Container> container_;
  ProcPtr init_;
  std::map<std::string, ProcPtr> execs_;
};

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_TASK_H_
