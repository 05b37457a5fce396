#ifndef GANTRY_SHIM_TASK_SERVICE_H_
#define GANTRY_SHIM_TASK_SERVICE_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "runtime/seccomp/seccomp.h"
#include "shim/task.h"

namespace gantry::shim {

// The Task API of a shim, by container: mostly one, several where a client groups them (the
// containers of a pod). The messages of containerd.task.v2 and v3 are the same, so both names are
// served. Loop thread only.
class TaskService {
 public:
  // `on_shutdown` is called when a client has ended a shim without containers.
  TaskService(EventLoop& loop, EventQueue& events, std::string ns,
              std::function<void()> on_shutdown);

  void RegisterOn(ttrpc::Server& server);

  // `handler` hears of each child that was collected and is no container's process.
  void OnOtherChild(std::function<void(pid_t pid, uint32_t exit_status)> handler) {
    on_other_child_ = std::move(handler);
  }

  [[nodiscard]] bool empty() const;
  // `handler` is called when the last container is gone.
  void OnEmpty(std::function<void()> handler) { on_empty_ = std::move(handler); }
  // `handler` is called for each container that is about to be made.
  void OnOccupied(std::function<void()> handler) { on_occupied_ = std::move(handler); }

  // Collects every child that has ended; to be called on SIGCHLD.
  void Reap();

 private:
  using Reply = ttrpc::Reply;

  void Create(const task::CreateTaskRequest& request, const Reply& reply);
  void Connect(const task::ConnectRequest& request, const Reply& reply);
  void Shutdown(const task::ShutdownRequest& request, const Reply& reply);

  template <typename Request>
  void Register(ttrpc::Server& server, const char* method,
                std::function<void(const Request&, const Reply&)> handler);
  template <typename Request>
  void Forward(ttrpc::Server& server, const char* method,
               void (Task::*handler)(const Request&, const Reply&));
  // Null if there is no such container.
  std::shared_ptr<Task> Find(const std::string& id) const;
  // Lets go of `task` once nothing of it runs.
  void DropIfGone(const std::shared_ptr<Task>& task);

  void ReleaseSoon();

  bool release_is_due_ = false;
  std::function<void()> on_shutdown_;
  std::function<void()> on_empty_;
  std::function<void()> on_occupied_;
  std::function<void(pid_t, uint32_t)> on_other_child_;
  runtime::SeccompCache seccomp_;
  TaskContext context_;
  std::map<std::string, std::shared_ptr<Task>> tasks_;
};

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_TASK_SERVICE_H_
