#ifndef GANTRY_SHIM_TASK_SERVICE_H_
#define GANTRY_SHIM_TASK_SERVICE_H_

#include <functional>
#include <map>
#include <memory>
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

// The Task API for the one container of this shim: its init process and those added by Exec. The
// messages of containerd.task.v3 are the same, so both names are served. Loop thread only.
class TaskService {
 public:
  // `on_shutdown` is called when a client has ended a shim without a container.
  TaskService(EventLoop& loop, EventQueue& events, std::function<void()> on_shutdown);
  ~TaskService();

  void RegisterOn(ttrpc::Server& server);

  // Collects every child that has ended; to be called on SIGCHLD.
  void Reap();

 private:
  using Reply = ttrpc::Reply;
  enum class Status { kCreated, kRunning, kStopped };
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
    uint64_t exit_event = 0;
    std::vector<std::function<void()>> on_exit;
  };
  using ProcPtr = std::shared_ptr<Proc>;

  void State(const task::StateRequest& request, Reply reply);
  void Create(const task::CreateTaskRequest& request, Reply reply);
  void Start(const task::StartRequest& request, Reply reply);
  void Delete(const task::DeleteRequest& request, Reply reply);
  void Pids(const task::PidsRequest& request, Reply reply);
  void Pause(const task::PauseRequest& request, Reply reply);
  void Resume(const task::ResumeRequest& request, Reply reply);
  void Checkpoint(const task::CheckpointTaskRequest& request, Reply reply);
  void Kill(const task::KillRequest& request, Reply reply);
  void Exec(const task::ExecProcessRequest& request, Reply reply);
  void ResizePty(const task::ResizePtyRequest& request, Reply reply);
  void CloseIO(const task::CloseIORequest& request, Reply reply);
  void Update(const task::UpdateTaskRequest& request, Reply reply);
  void Wait(const task::WaitRequest& request, Reply reply);
  void Stats(const task::StatsRequest& request, Reply reply);
  void Connect(const task::ConnectRequest& request, Reply reply);
  void Shutdown(const task::ShutdownRequest& request, Reply reply);

  template <typename Request>
  void Add(ttrpc::Server& server, const char* method,
           void (TaskService::*handler)(const Request&, Reply));

  absl::StatusOr<ProcPtr> Find(const std::string& id, const std::string& exec_id) const;
  absl::Status MakeContainer(const task::CreateTaskRequest& request, Proc& init);
  absl::Status StartExec(Proc& proc);
  void RecordState(pid_t pid) const;
  void HandleExit(const ProcPtr& proc, uint32_t exit_status);
  void PublishOom();
  void WatchOom();
  // Calls `then` when `proc` has ended and its exit event has been told.
  void AfterExit(const ProcPtr& proc, std::function<void()> then);
  void FinishDelete(const ProcPtr& proc, Reply reply);
  template <typename Message>
  uint64_t Publish(const char* topic, const Message& message);

  EventLoop& loop_;
  EventQueue& events_;
  std::function<void()> on_shutdown_;
  runtime::SeccompCache seccomp_;
  std::string id_;
  std::string bundle_;
  std::string cgroups_path_;
  bool kill_rest_at_exit_ = false;  // init has no pid namespace of its own
  bool paused_ = false;
  uint64_t oom_kills_ = 0;
  UniqueFd oom_fd_;
  std::unique_ptr<runtime::Container> container_;
  ProcPtr init_;
  std::map<std::string, ProcPtr> execs_;
};

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_TASK_SERVICE_H_
