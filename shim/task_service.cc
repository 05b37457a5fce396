#include "shim/task_service.h"

#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/identifiers.h"
#include "shim/memory.h"

namespace gantry::shim {
namespace {

// Shared by all shims of the host: most containers have one and the same profile.
constexpr char kSeccompCacheDir[] = "/run/gantry/seccomp";
// A shim that was not asked for anything this long is taken to idle.
constexpr absl::Duration kRestDelay = absl::Seconds(1);

}  // namespace

TaskService::TaskService(EventLoop& loop, EventQueue& events, std::string ns,
                         std::function<void()> on_shutdown)
    : on_shutdown_(std::move(on_shutdown)), seccomp_(kSeccompCacheDir), context_{loop,
                                                                                 events,
                                                                                 seccomp_,
                                                                                 std::move(ns),
                                                                                 [this] { Reap(); },
                                                                                 [this] { ReleaseSoon(); }} {}

template <typename Request>
void TaskService::Register(ttrpc::Server& server, const char* method,
                           std::function<void(const Request&, const Reply&)> handler) {
  for (const char* service : {"containerd.task.v2.Task", "containerd.task.v3.Task"}) {
    server.Register(service, method, [handler](ttrpc::Call call, Reply reply) {
      Request request;
      if (!request.ParseFromString(call.payload)) {
        return reply(absl::InvalidArgumentError("request is not a well-formed message"));
      }
      handler(request, reply);
    });
  }
}

template <typename Request>
void TaskService::Forward(ttrpc::Server& server, const char* method,
                          void (Task::*handler)(const Request&, const Reply&)) {
  Register<Request>(server, method, [this, handler](const Request& request, const Reply& reply) {
    const std::shared_ptr<Task> task = Find(request.id());
    if (task == nullptr) {
      return reply(absl::NotFoundError(absl::StrCat("container \"", request.id(), "\" not found")));
    }
    (task.get()->*handler)(request, [this, task, reply](absl::StatusOr<std::string> answer) {
      DropIfGone(task);
      reply(std::move(answer));
    });
  });
}

void TaskService::RegisterOn(ttrpc::Server& server) {
  Forward(server, "State", &Task::State);
  Forward(server, "Start", &Task::Start);
  Forward(server, "Delete", &Task::Delete);
  Forward(server, "Pids", &Task::Pids);
  Forward(server, "Pause", &Task::Pause);
  Forward(server, "Resume", &Task::Resume);
  Forward(server, "Checkpoint", &Task::Checkpoint);
  Forward(server, "Kill", &Task::Kill);
  Forward(server, "Exec", &Task::Exec);
  Forward(server, "ResizePty", &Task::ResizePty);
  Forward(server, "CloseIO", &Task::CloseIO);
  Forward(server, "Update", &Task::Update);
  Forward(server, "Wait", &Task::Wait);
  Forward(server, "Stats", &Task::Stats);
  Register<task::CreateTaskRequest>(
      server, "Create",
      [this](const auto& request, const Reply& reply) { Create(request, reply); });
  Register<task::ConnectRequest>(
      server, "Connect",
      [this](const auto& request, const Reply& reply) { Connect(request, reply); });
  Register<task::ShutdownRequest>(
      server, "Shutdown",
      [this](const auto& request, const Reply& reply) { Shutdown(request, reply); });
}

std::shared_ptr<Task> TaskService::Find(const std::string& id) const {
  const auto found = tasks_.find(id);
  return found == tasks_.end() || found->second->gone() ? nullptr : found->second;
}

void TaskService::DropIfGone(const std::shared_ptr<Task>& task) {
  if (!task->gone()) return;
  for (auto at = tasks_.begin(); at != tasks_.end(); ++at) {
    if (at->second != task) continue;
    tasks_.erase(at);
    if (on_empty_ && empty()) on_empty_();
    return;
  }
}

void TaskService::Create(const task::CreateTaskRequest& request, const Reply& reply) {
  if (absl::Status valid = ValidateIdentifier("container id", request.id()); !valid.ok()) {
    return reply(valid);
  }
  if (Find(request.id()) != nullptr) {
    return reply(
        absl::AlreadyExistsError(absl::StrCat("container \"", request.id(), "\" already exists")));
  }
  const auto task = std::make_shared<Task>(context_, request.id());
  tasks_[request.id()] = task;
  if (on_occupied_) on_occupied_();
  task->Create(request, [this, task, reply](absl::StatusOr<std::string> answer) {
    DropIfGone(task);
    reply(std::move(answer));
  });
}

void TaskService::Reap() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) != 0 || info.si_pid == 0) return;
    const uint32_t exit_status = info.si_code == CLD_EXITED
                                     ? static_cast<uint32_t>(info.si_status)
                                     : 128 + static_cast<uint32_t>(info.si_status);
    // A callback of an exit may drop its task.
    std::vector<std::shared_ptr<Task>> tasks;
    tasks.reserve(tasks_.size());
    for (const auto& [id, task] : tasks_) tasks.push_back(task);
    // Others are orphans of a container that came here because this process is a subreaper, and
    // loggers, which are watched by pidfd.
    bool known = false;
    for (const std::shared_ptr<Task>& task : tasks) {
      known = known || task->HandleChild(info.si_pid, exit_status);
    }
    if (!known && on_other_child_) on_other_child_(info.si_pid, exit_status);
  }
}

void TaskService::ReleaseSoon() {
  if (std::exchange(release_is_due_, true)) return;
  context_.loop.After(kRestDelay, [this] {
    release_is_due_ = false;
    for (const auto& [id, task] : tasks_) task->Rest();
    ReleaseMemory();
  });
}

void TaskService::Connect(const task::ConnectRequest& request, const Reply& reply) {
  task::ConnectResponse response;
  response.set_shim_pid(static_cast<uint32_t>(::getpid()));
  if (const std::shared_ptr<Task> task = Find(request.id())) {
    response.set_task_pid(static_cast<uint32_t>(task->pid()));
  }
  response.set_version("gantry");
  reply(response.SerializeAsString());
}

void TaskService::Shutdown(const task::ShutdownRequest&, const Reply& reply) {
  reply(std::string());
  // Asked by whoever deleted one container of several, so others keep it alive, whatever `now`
  // says.
  if (empty()) on_shutdown_();
}

bool TaskService::empty() const {
  for (const auto& [id, task] : tasks_) {
    if (!task->gone()) return false;
  }
  return true;
}

}  // namespace gantry::shim
