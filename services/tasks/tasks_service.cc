#include "services/tasks/tasks_service.h"

#include "base/errors.h"
#include "base/identifiers.h"
#include "proto/containerd/events/task.pb.h"
#include "services/metadata/filter.h"
#include "services/rpc/convert.h"
#include "services/rpc/unary.h"

namespace gantry::tasks {
namespace {

namespace api = containerd::services::tasks::v1;
using Reactor = std::shared_ptr<rpc::AsyncReactor>;

// What a client reads of itself in an answer to a request without a body.
DoneStatus Completing(const Reactor& reactor) {
  return [reactor](const absl::Status& status) { reactor->Complete(status); };
}

// Answers with `fill(value)`; the response is there only until the answer.
template <typename T, typename Fill>
Done<T> Filling(const Reactor& reactor, Fill fill) {
  return [reactor, fill](const absl::StatusOr<T>& result) {
    reactor->Complete(result.status(), [&] { fill(*result); });
  };
}

void ToProto(const ProcessState& state, containerd::v1::types::Process* out) {
  out->set_container_id(state.container_id);
  out->set_id(state.exec_id.empty() ? state.container_id : state.exec_id);
  out->set_pid(state.pid);
  out->set_status(static_cast<containerd::v1::types::Status>(state.status));
  out->set_stdin(state.io.in);
  out->set_stdout(state.io.out);
  out->set_stderr(state.io.err);
  out->set_terminal(state.io.terminal);
  out->set_exit_status(state.exit_status);
  if (state.status == Status::kStopped) rpc::ToProto(state.exited_at, out->mutable_exited_at());
}

template <typename Request>
Stdio ToStdio(const Request& request) {
  return {request.stdin(), request.stdout(), request.stderr(), request.terminal()};
}

// What filters of Metrics may ask of a task.
metadata::Adaptor AdaptorOf(const std::string& ns, const ProcessState& state) {
  return [&ns, &state](std::span<const std::string> path) -> std::optional<std::string> {
    if (path.size() != 1) return std::nullopt;
    if (path[0] == "id") return state.container_id;
    if (path[0] == "namespace") return ns;
    if (path[0] == "pid") return std::to_string(state.pid);
    return std::nullopt;
  };
}

}  // namespace

void TaskEventPublisher::TaskExited(const ProcessExit& event) {
  containerd::events::TaskExit message;
  message.set_container_id(event.container_id);
  message.set_id(event.exec_id.empty() ? event.container_id : event.exec_id);
  message.set_pid(event.exit.pid);
  message.set_exit_status(event.exit.status);
  rpc::ToProto(event.exit.at, message.mutable_exited_at());
  events_.Publish(event.ns, "/tasks/exit", message);
}

void TaskEventPublisher::TaskDeleted(const ProcessExit& event) {
  containerd::events::TaskDelete message;
  message.set_container_id(event.container_id);
  message.set_id(event.exec_id);
  message.set_pid(event.exit.pid);
  message.set_exit_status(event.exit.status);
  rpc::ToProto(event.exit.at, message.mutable_exited_at());
  events_.Publish(event.ns, "/tasks/delete", message);
}

grpc::ServerUnaryReactor* TasksService::Create(grpc::CallbackServerContext* context,
                                               const api::CreateTaskRequest* request,
                                               api::CreateTaskResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    CreateTask create;
    create.id = request->container_id();
    for (const containerd::types::Mount& mount : request->rootfs()) {
      create.rootfs.push_back({mount.type(),
                               mount.source(),
                               mount.target(),
                               {mount.options().begin(), mount.options().end()}});
    }
    create.io = ToStdio(*request);
    create.options = rpc::ToAny(request->options());
    create.from_checkpoint = request->has_checkpoint();
    create.runtime_path = request->runtime_path();
    tasks_.Create(rpc.ns, create, Filling<uint32_t>(reactor, [=, id = create.id](uint32_t pid) {
                    response->set_container_id(id);
                    response->set_pid(pid);
                  }));
  });
}

grpc::ServerUnaryReactor* TasksService::Start(grpc::CallbackServerContext* context,
                                              const api::StartRequest* request,
                                              api::StartResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.Start(rpc.ns, request->container_id(), request->exec_id(),
                 Filling<uint32_t>(reactor, [=](uint32_t pid) { response->set_pid(pid); }));
  });
}

namespace {

Done<Exit> FillingDeleted(const Reactor& reactor, const std::string& id,
                          api::DeleteResponse* response) {
  return Filling<Exit>(reactor, [id, response](const Exit& exit) {
    response->set_id(id);
    response->set_pid(exit.pid);
    response->set_exit_status(exit.status);
    rpc::ToProto(exit.at, response->mutable_exited_at());
  });
}

}  // namespace

grpc::ServerUnaryReactor* TasksService::Delete(grpc::CallbackServerContext* context,
                                               const api::DeleteTaskRequest* request,
                                               api::DeleteResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.Delete(rpc.ns, request->container_id(),
                  FillingDeleted(reactor, request->container_id(), response));
  });
}

grpc::ServerUnaryReactor* TasksService::DeleteProcess(grpc::CallbackServerContext* context,
                                                      const api::DeleteProcessRequest* request,
                                                      api::DeleteResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.DeleteProcess(rpc.ns, request->container_id(), request->exec_id(),
                         FillingDeleted(reactor, request->exec_id(), response));
  });
}

grpc::ServerUnaryReactor* TasksService::Get(grpc::CallbackServerContext* context,
                                            const api::GetRequest* request,
                                            api::GetResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    const absl::StatusOr<ProcessState> state =
        tasks_.Get(rpc.ns, request->container_id(), request->exec_id());
    reactor->Complete(state.status(), [&] { ToProto(*state, response->mutable_process()); });
  });
}

grpc::ServerUnaryReactor* TasksService::List(grpc::CallbackServerContext* context,
                                             const api::ListTasksRequest*,
                                             api::ListTasksResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    const std::vector<ProcessState> states = tasks_.List(rpc.ns);
    reactor->Complete(absl::OkStatus(), [&] {
      for (const ProcessState& state : states) ToProto(state, response->add_tasks());
    });
  });
}

grpc::ServerUnaryReactor* TasksService::Kill(grpc::CallbackServerContext* context,
                                             const api::KillRequest* request,
                                             google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.Kill(rpc.ns, request->container_id(), request->exec_id(), request->signal(),
                request->all(), Completing(reactor));
  });
}

grpc::ServerUnaryReactor* TasksService::Exec(grpc::CallbackServerContext* context,
                                             const api::ExecProcessRequest* request,
                                             google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.Exec(rpc.ns, request->container_id(), request->exec_id(), ToStdio(*request),
                rpc::ToAny(request->spec()), Completing(reactor));
  });
}

grpc::ServerUnaryReactor* TasksService::ResizePty(grpc::CallbackServerContext* context,
                                                  const api::ResizePtyRequest* request,
                                                  google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.ResizePty(rpc.ns, request->container_id(), request->exec_id(), request->width(),
                     request->height(), Completing(reactor));
  });
}

grpc::ServerUnaryReactor* TasksService::CloseIO(grpc::CallbackServerContext* context,
                                                const api::CloseIORequest* request,
                                                google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    // Nothing else can be closed.
    if (!request->stdin()) return reactor->Complete(absl::OkStatus());
    tasks_.CloseStdin(rpc.ns, request->container_id(), request->exec_id(), Completing(reactor));
  });
}

grpc::ServerUnaryReactor* TasksService::Pause(grpc::CallbackServerContext* context,
                                              const api::PauseTaskRequest* request,
                                              google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.Pause(rpc.ns, request->container_id(), Completing(reactor));
  });
}

grpc::ServerUnaryReactor* TasksService::Resume(grpc::CallbackServerContext* context,
                                               const api::ResumeTaskRequest* request,
                                               google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.Resume(rpc.ns, request->container_id(), Completing(reactor));
  });
}

grpc::ServerUnaryReactor* TasksService::ListPids(grpc::CallbackServerContext* context,
                                                 const api::ListPidsRequest* request,
                                                 api::ListPidsResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    const auto fill = [response](const std::vector<PidInfo>& pids) {
      for (const PidInfo& pid : pids) {
        containerd::v1::types::ProcessInfo* added = response->add_processes();
        added->set_pid(pid.pid);
        if (!pid.info.type_url.empty()) rpc::ToProto(pid.info, added->mutable_info());
      }
    };
    tasks_.ListPids(rpc.ns, request->container_id(), Filling<std::vector<PidInfo>>(reactor, fill));
  });
}

grpc::ServerUnaryReactor* TasksService::Checkpoint(grpc::CallbackServerContext* context,
                                                   const api::CheckpointTaskRequest* request,
                                                   api::CheckpointTaskResponse*) {
  return rpc::UnaryAsync(context, [=](const rpc::RequestContext&, Reactor reactor) {
    reactor->Complete(absl::UnimplementedError(
        absl::StrCat("task ", request->container_id(), ": checkpoint is not supported")));
  });
}

grpc::ServerUnaryReactor* TasksService::Update(grpc::CallbackServerContext* context,
                                               const api::UpdateTaskRequest* request,
                                               google::protobuf::Empty*) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.Update(rpc.ns, request->container_id(), rpc::ToAny(request->resources()),
                  Completing(reactor));
  });
}

grpc::ServerUnaryReactor* TasksService::Metrics(grpc::CallbackServerContext* context,
                                                const api::MetricsRequest* request,
                                                api::MetricsResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    const absl::StatusOr<metadata::FilterSet> filters =
        metadata::FilterSet::Parse({request->filters().begin(), request->filters().end()});
    if (!filters.ok()) return reactor->Complete(filters.status());
    const auto wanted = [&](const ProcessState& state) {
      return filters->Match(AdaptorOf(rpc.ns, state));
    };
    tasks_.Metrics(rpc.ns, wanted, [reactor, response](const std::vector<TaskMetrics>& metrics) {
      reactor->Complete(absl::OkStatus(), [&] {
        for (const TaskMetrics& task : metrics) {
          containerd::types::Metric* added = response->add_metrics();
          added->set_id(task.id);
          rpc::ToProto(task.at, added->mutable_timestamp());
          rpc::ToProto(task.data, added->mutable_data());
        }
      });
    });
  });
}

grpc::ServerUnaryReactor* TasksService::Wait(grpc::CallbackServerContext* context,
                                             const api::WaitRequest* request,
                                             api::WaitResponse* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc, Reactor reactor) {
    tasks_.Wait(rpc.ns, request->container_id(), request->exec_id(),
                Filling<Exit>(reactor, [response](const Exit& exit) {
                  response->set_exit_status(exit.status);
                  rpc::ToProto(exit.at, response->mutable_exited_at());
                }));
  });
}

}  // namespace gantry::tasks
