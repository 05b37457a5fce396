#ifndef GANTRY_SERVICES_TASKS_TASKS_SERVICE_H_
#define GANTRY_SERVICES_TASKS_TASKS_SERVICE_H_

#include "proto/containerd/services/tasks/v1/tasks.grpc.pb.h"
#include "services/rpc/event_publisher.h"
#include "services/tasks/task_manager.h"

namespace gantry::tasks {

// Publishes the manager's own events, those of shims that died, as containerd's.
class TaskEventPublisher final : public TaskEventSink {
 public:
  // `events` outlives this.
  explicit TaskEventPublisher(rpc::EventPublisher& events) : events_(events) {}
  void TaskExited(const ProcessExit& event) override;
  void TaskDeleted(const ProcessExit& event) override;

 private:
  rpc::EventPublisher& events_;
};

// containerd.services.tasks.v1.Tasks. No call holds a thread while a shim works.
class TasksService final : public containerd::services::tasks::v1::Tasks::CallbackService {
 public:
  // `tasks` outlives this.
  explicit TasksService(TaskManager& tasks) : tasks_(tasks) {}

  grpc::ServerUnaryReactor* Create(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::CreateTaskRequest* request,
      containerd::services::tasks::v1::CreateTaskResponse* response) override;
  grpc::ServerUnaryReactor* Start(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::StartRequest* request,
      containerd::services::tasks::v1::StartResponse* response) override;
  grpc::ServerUnaryReactor* Delete(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::DeleteTaskRequest* request,
      containerd::services::tasks::v1::DeleteResponse* response) override;
  grpc::ServerUnaryReactor* DeleteProcess(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::DeleteProcessRequest* request,
      containerd::services::tasks::v1::DeleteResponse* response) override;
  grpc::ServerUnaryReactor* Get(grpc::CallbackServerContext* context,
                                const containerd::services::tasks::v1::GetRequest* request,
                                containerd::services::tasks::v1::GetResponse* response) override;
  grpc::ServerUnaryReactor* List(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::ListTasksRequest* request,
      containerd::services::tasks::v1::ListTasksResponse* response) override;
  grpc::ServerUnaryReactor* Kill(grpc::CallbackServerContext* context,
                                 const containerd::services::tasks::v1::KillRequest* request,
                                 google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Exec(grpc::CallbackServerContext* context,
                                 const containerd::services::tasks::v1::ExecProcessRequest* request,
                                 google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* ResizePty(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::ResizePtyRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* CloseIO(grpc::CallbackServerContext* context,
                                    const containerd::services::tasks::v1::CloseIORequest* request,
                                    google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Pause(grpc::CallbackServerContext* context,
                                  const containerd::services::tasks::v1::PauseTaskRequest* request,
                                  google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Resume(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::ResumeTaskRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* ListPids(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::ListPidsRequest* request,
      containerd::services::tasks::v1::ListPidsResponse* response) override;
  grpc::ServerUnaryReactor* Checkpoint(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::CheckpointTaskRequest* request,
      containerd::services::tasks::v1::CheckpointTaskResponse* response) override;
  grpc::ServerUnaryReactor* Update(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::UpdateTaskRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Metrics(
      grpc::CallbackServerContext* context,
      const containerd::services::tasks::v1::MetricsRequest* request,
      containerd::services::tasks::v1::MetricsResponse* response) override;
  grpc::ServerUnaryReactor* Wait(grpc::CallbackServerContext* context,
                                 const containerd::services::tasks::v1::WaitRequest* request,
                                 containerd::services::tasks::v1::WaitResponse* response) override;

 private:
  TaskManager& tasks_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_TASKS_SERVICE_H_
