#include "tests/support/sleeper.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"
#include "proto/containerd/services/containers/v1/containers.grpc.pb.h"
#include "proto/containerd/services/tasks/v1/tasks.grpc.pb.h"

namespace gantry::test {
namespace {

namespace containers_pb = containerd::services::containers::v1;
namespace tasks_pb = containerd::services::tasks::v1;

absl::Status ToAbsl(const grpc::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  return {static_cast<absl::StatusCode>(status.error_code()),
          absl::StrCat(what, ": ", status.error_message())};
}

absl::Status CreateContainer(const std::shared_ptr<grpc::Channel>& channel, const std::string& ns,
                             const std::string& id, const std::string& directory) {
  const std::string root = directory + "/rootfs";
  for (const char* sub : {"bin", "proc"}) {
    GANTRY_RETURN_IF_ERROR(MakeDirectories(root + "/" + sub));
  }
  std::filesystem::copy_file("/bin/busybox", root + "/bin/sleep",
                             std::filesystem::copy_options::skip_existing);
  const Json spec = {
      {"ociVersion", "1.0.2"},
      {"process",
       {{"user", {{"uid", 0}, {"gid", 0}}}, {"args", {"/bin/sleep", "1000"}}, {"cwd", "/"}}},
      {"root", {{"path", root}}},
      {"linux",
       {{"cgroupsPath", absl::StrCat("/gantry-test/", ns, "-", id, "-", ::getpid())},
        {"namespaces", {{{"type", "pid"}}, {{"type", "mount"}}}}}}};
  containers_pb::CreateContainerRequest request;
  request.mutable_container()->set_id(id);
  request.mutable_container()->mutable_runtime()->set_name("io.containerd.runc.v2");
  request.mutable_container()->mutable_spec()->set_type_url(
      "types.containerd.io/opencontainers/runtime-spec/1/Spec");
  request.mutable_container()->mutable_spec()->set_value(DumpJson(spec));
  containers_pb::CreateContainerResponse response;
  Call call(ns);
  return ToAbsl(containers_pb::Containers::NewStub(channel)->Create(&call, request, &response),
                "create the container");
}

}  // namespace

absl::StatusOr<uint32_t> RunSleeper(const std::shared_ptr<grpc::Channel>& channel,
                                    const std::string& ns, const std::string& id,
                                    const std::string& directory) {
  GANTRY_RETURN_IF_ERROR(CreateContainer(channel, ns, id, directory));
  const auto tasks = tasks_pb::Tasks::NewStub(channel);
  tasks_pb::CreateTaskRequest make;
  make.set_container_id(id);
  tasks_pb::CreateTaskResponse made;
  Call making(ns);
  GANTRY_RETURN_IF_ERROR(ToAbsl(tasks->Create(&making, make, &made), "create the task"));
  tasks_pb::StartRequest start;
  start.set_container_id(id);
  tasks_pb::StartResponse started;
  Call starting(ns);
  GANTRY_RETURN_IF_ERROR(ToAbsl(tasks->Start(&starting, start, &started), "start the task"));
  return made.pid();
}

absl::Status EndSleeper(const std::shared_ptr<grpc::Channel>& channel, const std::string& ns,
                        const std::string& id) {
  const auto tasks = tasks_pb::Tasks::NewStub(channel);
  tasks_pb::KillRequest kill;
  kill.set_container_id(id);
  kill.set_signal(9);
  google::protobuf::Empty empty;
  Call killing(ns);
  // It may have ended.
  const grpc::Status killed = tasks->Kill(&killing, kill, &empty);
  if (killed.error_code() != grpc::StatusCode::NOT_FOUND) {
    GANTRY_RETURN_IF_ERROR(ToAbsl(killed, "kill the task"));
  }
  tasks_pb::WaitRequest wait;
  wait.set_container_id(id);
  tasks_pb::WaitResponse exit;
  Call waiting(ns);
  GANTRY_RETURN_IF_ERROR(ToAbsl(tasks->Wait(&waiting, wait, &exit), "wait for the task"));
  tasks_pb::DeleteTaskRequest remove;
  remove.set_container_id(id);
  tasks_pb::DeleteResponse removed;
  Call removing(ns);
  return ToAbsl(tasks->Delete(&removing, remove, &removed), "delete the task");
}

}  // namespace gantry::test
