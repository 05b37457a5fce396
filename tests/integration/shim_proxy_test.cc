// The Task API of a shim through the daemon's own socket, with a container that runs.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/json.h"
#include "proto/containerd/services/containers/v1/containers.grpc.pb.h"
#include "proto/containerd/services/tasks/v1/tasks.grpc.pb.h"
#include "proto/containerd/task/v2/shim.grpc.pb.h"
#include "proto/containerd/task/v3/shim.grpc.pb.h"
#include "tests/support/daemon_process.h"

namespace gantry::test {
namespace {

namespace containers_pb = containerd::services::containers::v1;
namespace tasks_pb = containerd::services::tasks::v1;
namespace v3 = containerd::task::v3;

class Call : public grpc::ClientContext {
 public:
  explicit Call(const std::string& ns = "proxied") {
    AddMetadata("containerd-namespace", ns);
    set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
};

class ShimProxyTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = DaemonProcess::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
    channel_ = daemon_->Channel();
    tasks_ = tasks_pb::Tasks::NewStub(channel_);
    shims_ = v3::Task::NewStub(channel_);
    Run();
  }

  void TearDown() override {
    if (pid_ == 0) return;
    tasks_pb::KillRequest kill;
    kill.set_container_id("c");
    kill.set_signal(9);
    google::protobuf::Empty empty;
    Call killing;
    tasks_->Kill(&killing, kill, &empty);
    tasks_pb::WaitRequest wait;
    wait.set_container_id("c");
    tasks_pb::WaitResponse exit;
    Call waiting;
    tasks_->Wait(&waiting, wait, &exit);
    tasks_pb::DeleteTaskRequest remove;
    remove.set_container_id("c");
    tasks_pb::DeleteResponse removed;
    Call removing;
    EXPECT_TRUE(tasks_->Delete(&removing, remove, &removed).ok());
  }

  // A container "c" on a root of busybox, asleep.
  void Run() {
    const std::string root = daemon_->directory() + "/rootfs";
    for (const char* sub : {"bin", "proc"}) ASSERT_TRUE(MakeDirectories(root + "/" + sub).ok());
    std::filesystem::copy_file("/bin/busybox", root + "/bin/sleep");
    const Json spec = {
        {"ociVersion", "1.0.2"},
        {"process",
         {{"user", {{"uid", 0}, {"gid", 0}}}, {"args", {"/bin/sleep", "1000"}}, {"cwd", "/"}}},
        {"root", {{"path", root}}},
        {"linux",
         {{"cgroupsPath", absl::StrCat("/gantry-test/proxy-", ::getpid())},
          {"namespaces", {{{"type", "pid"}}, {{"type", "mount"}}}}}}};
    containers_pb::CreateContainerRequest create;
    create.mutable_container()->set_id("c");
    create.mutable_container()->mutable_runtime()->set_name("io.containerd.runc.v2");
    create.mutable_container()->mutable_spec()->set_type_url(
        "types.containerd.io/opencontainers/runtime-spec/1/Spec");
    create.mutable_container()->mutable_spec()->set_value(DumpJson(spec));
    containers_pb::CreateContainerResponse container;
    Call creating;
    grpc::Status status =
        containers_pb::Containers::NewStub(channel_)->Create(&creating, create, &container);
    ASSERT_TRUE(status.ok()) << status.error_message();
    tasks_pb::CreateTaskRequest make;
    make.set_container_id("c");
    tasks_pb::CreateTaskResponse made;
    Call making;
    status = tasks_->Create(&making, make, &made);
    ASSERT_TRUE(status.ok()) << status.error_message();
    pid_ = made.pid();
    tasks_pb::StartRequest start;
    start.set_container_id("c");
    tasks_pb::StartResponse started;
    Call starting;
    status = tasks_->Start(&starting, start, &started);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  grpc::Status State(const std::string& ns, const std::string& id, v3::StateResponse* state) {
    v3::StateRequest request;
    request.set_id(id);
    Call call(ns);
    return shims_->State(&call, request, state);
  }

  std::unique_ptr<DaemonProcess> daemon_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<tasks_pb::Tasks::Stub> tasks_;
  std::unique_ptr<v3::Task::Stub> shims_;
  uint32_t pid_ = 0;
};

TEST_F(ShimProxyTest, AContainersShimAnswers) {
  v3::StateResponse state;
  const grpc::Status status = State("proxied", "c", &state);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(state.pid(), pid_);
  EXPECT_EQ(state.status(), containerd::v1::types::RUNNING);
  EXPECT_EQ(state.bundle(), daemon_->state() + "/tasks/proxied/c");
}

TEST_F(ShimProxyTest, VersionTwoOfTheApiIsThereToo) {
  containerd::task::v2::ConnectRequest request;
  request.set_id("c");
  containerd::task::v2::ConnectResponse response;
  Call call;
  const grpc::Status status =
      containerd::task::v2::Task::NewStub(channel_)->Connect(&call, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.task_pid(), pid_);
  EXPECT_GT(response.shim_pid(), 0u);
}

TEST_F(ShimProxyTest, TheShimsErrorsComeBack) {
  v3::KillRequest request;
  request.set_id("c");
  request.set_signal(9999);
  google::protobuf::Empty empty;
  Call call;
  EXPECT_EQ(shims_->Kill(&call, request, &empty).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ShimProxyTest, WhoIsAskedIsCheckedFirst) {
  v3::StateResponse state;
  EXPECT_EQ(State("proxied", "d", &state).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(State("other", "c", &state).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(State("proxied", "", &state).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

}  // namespace
}  // namespace gantry::test
