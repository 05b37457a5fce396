// The Task API of a shim through the daemon's own socket, with a container that runs.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "proto/containerd/task/v2/shim.grpc.pb.h"
#include "proto/containerd/task/v3/shim.grpc.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/sleeper.h"

namespace gantry::test {
namespace {

namespace v3 = containerd::task::v3;

class ShimProxyTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = DaemonProcess::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
    channel_ = daemon_->Channel();
    shims_ = v3::Task::NewStub(channel_);
    const auto pid = RunSleeper(channel_, "proxied", "c", daemon_->directory());
    ASSERT_TRUE(pid.ok()) << pid.status();
    pid_ = *pid;
  }

  void TearDown() override {
    if (pid_ == 0) return;
    EXPECT_EQ(EndSleeper(channel_, "proxied", "c"), absl::OkStatus());
  }

  grpc::Status State(const std::string& ns, const std::string& id, v3::StateResponse* state) {
    v3::StateRequest request;
    request.set_id(id);
    Call call(ns);
    return shims_->State(&call, request, state);
  }

  std::unique_ptr<DaemonProcess> daemon_;
  std::shared_ptr<grpc::Channel> channel_;
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
  Call call("proxied");
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
  Call call("proxied");
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
