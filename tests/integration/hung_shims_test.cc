// Shims that hang, as processes that SIGSTOP has stopped do: they hold up nobody but who asks them.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <future>
#include <map>

#include "absl/strings/str_cat.h"
#include "proto/containerd/services/tasks/v1/tasks.grpc.pb.h"
#include "proto/containerd/task/v3/shim.grpc.pb.h"
#include "tests/support/daemon_process.h"
#include "tests/support/sleeper.h"

namespace gantry::test {
namespace {

namespace tasks_pb = containerd::services::tasks::v1;
namespace types = containerd::v1::types;
namespace v3 = containerd::task::v3;

constexpr char kNamespace[] = "hung";
constexpr int kContainers = 6;
constexpr int kHung = 3;

std::string Name(int number) { return absl::StrCat("c", number); }

class HungShimsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = DaemonProcess::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
    Connect();
    for (int number = 0; number < kContainers; ++number) {
      const auto pid = RunSleeper(channel_, kNamespace, Name(number), daemon_->directory());
      ASSERT_TRUE(pid.ok()) << pid.status();
      running_[Name(number)] = *pid;
    }
  }

  void TearDown() override {
    GoOn();
    for (const auto& [name, pid] : running_) {
      EXPECT_EQ(EndSleeper(channel_, kNamespace, name), absl::OkStatus());
    }
  }

  void Connect() {
    channel_ = daemon_->Channel();
    tasks_ = tasks_pb::Tasks::NewStub(channel_);
  }

  // Stops the shims of the first containers.
  void Hang() {
    const auto shims = v3::Task::NewStub(channel_);
    for (int number = 0; number < kHung; ++number) {
      v3::ConnectRequest request;
      request.set_id(Name(number));
      v3::ConnectResponse response;
      Call call(kNamespace);
      const grpc::Status status = shims->Connect(&call, request, &response);
      ASSERT_TRUE(status.ok()) << status.error_message();
      ASSERT_EQ(::kill(static_cast<pid_t>(response.shim_pid()), SIGSTOP), 0);
      stopped_.push_back(static_cast<pid_t>(response.shim_pid()));
    }
  }
  void GoOn() {
    for (const pid_t shim : stopped_) ::kill(shim, SIGCONT);
    stopped_.clear();
  }

  grpc::Status Kill(const std::string& name, uint32_t signal) {
    tasks_pb::KillRequest request;
    request.set_container_id(name);
    request.set_signal(signal);
    google::protobuf::Empty response;
    Call call(kNamespace);
    return tasks_->Kill(&call, request, &response);
  }
  types::Process Get(const std::string& name) {
    tasks_pb::GetRequest request;
    request.set_container_id(name);
    tasks_pb::GetResponse response;
    Call call(kNamespace);
    const grpc::Status status = tasks_->Get(&call, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.process();
  }
  // The status of each task.
  std::map<std::string, types::Status> List() {
    tasks_pb::ListTasksResponse response;
    Call call(kNamespace);
    const grpc::Status status = tasks_->List(&call, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::map<std::string, types::Status> found;
    for (const auto& task : response.tasks()) found[task.id()] = task.status();
    return found;
  }

  // Runs `other` while hung shims are asked: it must be answered before any of them gives up.
  void WhileTheyAreAsked(const std::string& what, const std::function<void()>& other) {
    for (int number = 0; number < kHung; ++number) {
      asked_.push_back(
          std::async(std::launch::async, [this, number] { return Kill(Name(number), SIGTERM); }));
    }
    other();
    for (size_t at = asked_.size() - kHung; at < asked_.size(); ++at) {
      EXPECT_EQ(asked_[at].wait_for(std::chrono::seconds(0)), std::future_status::timeout)
          << what << " was answered after what hangs";
    }
  }

  std::unique_ptr<DaemonProcess> daemon_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<tasks_pb::Tasks::Stub> tasks_;
  std::map<std::string, uint32_t> running_;
  std::vector<pid_t> stopped_;
  std::vector<std::future<grpc::Status>> asked_;
};

TEST_F(HungShimsTest, WhatIsAskedOfOthersIsAnsweredAtOnce) {
  Hang();
  WhileTheyAreAsked("Get", [&] {
    EXPECT_EQ(Get("c5").status(), types::RUNNING);
    EXPECT_EQ(Get("c0").status(), types::RUNNING) << "the record answers for those that hang";
  });
  WhileTheyAreAsked("List", [&] {
    const auto all = List();
    EXPECT_EQ(all.size(), static_cast<size_t>(kContainers));
    for (const auto& [name, status] : all) EXPECT_EQ(status, types::RUNNING) << name;
  });
  WhileTheyAreAsked("Metrics", [&] {
    tasks_pb::MetricsResponse response;
    Call call(kNamespace);
    EXPECT_TRUE(tasks_->Metrics(&call, {}, &response).ok());
    EXPECT_EQ(response.metrics_size(), kContainers);
  });
  WhileTheyAreAsked("ListPids", [&] {
    tasks_pb::ListPidsRequest request;
    request.set_container_id("c0");
    tasks_pb::ListPidsResponse response;
    Call call(kNamespace);
    EXPECT_TRUE(tasks_->ListPids(&call, request, &response).ok());
    ASSERT_EQ(response.processes_size(), 1);
    EXPECT_EQ(response.processes(0).pid(), running_["c0"]);
  });
  WhileTheyAreAsked("a new container", [&] {
    const auto pid = RunSleeper(channel_, kNamespace, "new", daemon_->directory());
    EXPECT_TRUE(pid.ok()) << pid.status();
    if (pid.ok()) running_["new"] = *pid;
  });
  WhileTheyAreAsked("the end of another", [&] {
    EXPECT_EQ(EndSleeper(channel_, kNamespace, "c5"), absl::OkStatus());
    running_.erase("c5");
  });
  GoOn();
  for (auto& answer : asked_) {
    const grpc::Status status = answer.get();
    EXPECT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
        << status.error_message();
  }
}

TEST_F(HungShimsTest, ADaemonThatStartsAgainTakesThemUpOnceTheyGoOn) {
  Hang();
  daemon_->Signal(SIGKILL);
  ASSERT_TRUE(daemon_->Wait().ok());
  ASSERT_EQ(daemon_->Restart(), absl::OkStatus());
  Connect();
  EXPECT_EQ(List().size(), static_cast<size_t>(kContainers));
  EXPECT_EQ(Get("c5").status(), types::RUNNING);
  EXPECT_EQ(Get("c0").status(), types::UNKNOWN);
  EXPECT_EQ(Get("c0").pid(), running_["c0"]);
  GoOn();
  for (int number = 0; number < kHung; ++number) {
    const absl::Time give_up = absl::Now() + absl::Seconds(60);
    while (Get(Name(number)).status() != types::RUNNING && absl::Now() < give_up) {
    }
    EXPECT_EQ(Get(Name(number)).status(), types::RUNNING);
  }
}

TEST_F(HungShimsTest, SigkillEndsTheContainerAndItsShim) {
  Hang();
  const grpc::Status killed = Kill("c0", SIGKILL);
  EXPECT_TRUE(killed.ok()) << killed.error_message();
  EXPECT_EQ(Get("c0").status(), types::STOPPED);
  EXPECT_EQ(Get("c0").exit_status(), 137u);
  EXPECT_EQ(EndSleeper(channel_, kNamespace, "c0"), absl::OkStatus());
  running_.erase("c0");
}

}  // namespace
}  // namespace gantry::test
