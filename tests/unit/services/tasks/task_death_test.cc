#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/tasks/fixture.h"

namespace gantry::tasks {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using ShimDeathTest = TaskManagerTest;
using RestoreTest = TaskManagerTest;

TEST_F(ShimDeathTest, ADeadShimsTaskIsStoppedItsCgroupCleanedAndEachExitToldOnce) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  ASSERT_TRUE(Exec("c", "ran").ok());
  ASSERT_TRUE(Exec("c", "added").ok());
  launcher_.last()->on_start = [] { return 200u; };
  ASSERT_TRUE(Start("c", "ran").ok());
  std::promise<absl::StatusOr<Exit>> waiting;
  manager_->Wait("ns", "c", "", [&](absl::StatusOr<Exit> exit) { waiting.set_value(exit); });

  ASSERT_EQ(::kill(launcher_.last_pid(), SIGKILL), 0);
  EXPECT_EQ(waiting.get_future().get()->status, 137u);
  EXPECT_EQ(StatusOf("c"), Status::kStopped);
  EXPECT_THAT(cleaned(), ElementsAre("/ns/c"));
  ASSERT_TRUE(events_.AwaitCount(2));
  EXPECT_THAT(events_.lines(), ElementsAre("exit ns/c/ran 200 137", "exit ns/c/ 100 137"));
  EXPECT_FALSE(Exited("c", 0)) << "the shim's own event came late";

  EXPECT_THAT(std::string(Kill("c").message()), testing::HasSubstr("process already finished"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Exec("c", "more")));
  EXPECT_TRUE(DeleteProcess("c", "ran").ok());
  EXPECT_EQ(Delete("c")->status, 137u);
  EXPECT_FALSE(BundleIsThere("c"));
  EXPECT_THAT(events_.lines(),
              ElementsAre("exit ns/c/ran 200 137", "exit ns/c/ 100 137", "delete ns/c/ 100 137"));
  EXPECT_TRUE(Create("c").ok());
}

TEST_F(ShimDeathTest, AnExitThatWasToldBeforeTheShimsDeathIsNotToldAgain) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  EXPECT_TRUE(Exited("c", 6));
  ASSERT_EQ(::kill(launcher_.last_pid(), SIGKILL), 0);
  launcher_.last()->on_delete = [] { return Exit{100, 6, absl::FromUnixSeconds(7)}; };
  EXPECT_EQ(Delete("c")->status, 6u);
  for (const std::string& line : events_.lines()) EXPECT_EQ(line.find("exit"), std::string::npos);
}

TEST_F(ShimDeathTest, AShimWhoseConnectionEndsIsKilledAndBuried) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  launcher_.last()->Close();
  EXPECT_EQ(Wait("c")->status, 137u);
  EXPECT_TRUE(launcher_.last_ended());
  EXPECT_THAT(events_.lines(), ElementsAre("exit ns/c/ 100 137"));
}

TEST_F(ShimDeathTest, ADeathDuringDeleteDoesNotHoldItUp) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  Exited("c", 8);
  launcher_.last()->on_delete = [] { return absl::UnavailableError("the connection ended"); };
  EXPECT_EQ(Delete("c")->status, 8u);
  EXPECT_THAT(manager_->List("ns"), IsEmpty());
}

TEST_F(RestoreTest, ALivingTaskIsTakenUpAgainWithItsExecs) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  ASSERT_TRUE(Exec("c", "e").ok());
  launcher_.living["c"] = launcher_.last();
  launcher_.last()->on_state = [](const std::string& exec_id) {
    return ProcessState{
        .pid = exec_id.empty() ? 100u : 200u, .status = Status::kRunning, .io = {.out = "/fifo"}};
  };
  manager_.reset();
  MakeManager();
  ASSERT_TRUE(manager_->Restore().ok());
  EXPECT_EQ(StatusOf("c"), Status::kRunning);
  EXPECT_EQ(manager_->Get("ns", "c", "")->pid, 100u);
  EXPECT_EQ(manager_->Get("ns", "c", "")->io.out, "/fifo");
  EXPECT_EQ(manager_->Get("ns", "c", "e")->pid, 200u);
  EXPECT_THAT(events_.lines(), IsEmpty());
  EXPECT_TRUE(Exited("c", 2));
  EXPECT_EQ(Wait("c")->status, 2u);
  EXPECT_TRUE(Delete("c").ok());
}

TEST_F(RestoreTest, AnExitFromWhileTheDaemonWasAwayIsKnownAndToldByItsShimAlone) {
  ASSERT_TRUE(Create("c").ok());
  launcher_.living["c"] = launcher_.last();
  launcher_.last()->on_state = [](const std::string&) {
    return ProcessState{.pid = 100, .status = Status::kStopped, .exit_status = 9};
  };
  manager_.reset();
  MakeManager();
  ASSERT_TRUE(manager_->Restore().ok());
  EXPECT_EQ(Wait("c")->status, 9u);
  EXPECT_TRUE(Exited("c", 9)) << "the shim repeats what nobody heard";
  EXPECT_FALSE(Exited("c", 9));
  EXPECT_TRUE(Delete("c").ok());
  EXPECT_THAT(events_.lines(), IsEmpty());
}

TEST_F(RestoreTest, WhatADeadShimLeftIsCleanedAndTold) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  manager_.reset();
  MakeManager();
  ASSERT_TRUE(manager_->Restore().ok());
  EXPECT_THAT(manager_->List("ns"), IsEmpty());
  EXPECT_FALSE(BundleIsThere("c"));
  EXPECT_THAT(cleaned(), ElementsAre("/ns/c"));
  EXPECT_THAT(events_.lines(), ElementsAre("exit ns/c/ 100 137", "delete ns/c/ 100 137"));
}

TEST_F(RestoreTest, AnUnfinishedBundleIsRemovedSilently) {
  ASSERT_TRUE(MakeDirectories(Bundle("c") + "/rootfs").ok());
  ASSERT_TRUE(manager_->Restore().ok());
  EXPECT_FALSE(BundleIsThere("c"));
  EXPECT_THAT(events_.lines(), IsEmpty());
}

TEST_F(RestoreTest, AShimThatHangsDoesNotCostItsTask) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  launcher_.living["c"] = launcher_.last();
  launcher_.last()->on_state = [](const std::string&) {
    return absl::DeadlineExceededError("State: 10s");
  };
  manager_.reset();
  MakeManager();
  ASSERT_TRUE(manager_->Restore().ok());
  ASSERT_EQ(manager_->List("ns").size(), 1u);
  EXPECT_EQ(manager_->List("ns")[0].pid, 100u);
  EXPECT_FALSE(launcher_.last_ended());
}

TEST_F(RestoreTest, ItWaitsForNoShimThatHangsAndHearsItOnceItGoesOn) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  const std::shared_ptr<FakeShim> shim = launcher_.last();
  launcher_.living["c"] = shim;
  shim->hangs = true;
  manager_.reset();
  restore_patience_ = absl::Milliseconds(10);
  MakeManager();
  ASSERT_TRUE(manager_->Restore().ok());
  ASSERT_EQ(manager_->List("ns").size(), 1u);
  EXPECT_EQ(StatusOf("c"), Status::kUnknown);
  EXPECT_EQ(manager_->Get("ns", "c", "")->pid, 100u);
  std::promise<absl::StatusOr<Exit>> waiting;
  manager_->Wait("ns", "c", "", [&](absl::StatusOr<Exit> exit) { waiting.set_value(exit); });

  shim->on_state = [](const std::string&) {
    return ProcessState{.pid = 100, .status = Status::kStopped, .exit_status = 9};
  };
  shim->GoOn();
  EXPECT_EQ(waiting.get_future().get()->status, 9u);
  EXPECT_EQ(StatusOf("c"), Status::kStopped);
  EXPECT_TRUE(Exited("c", 9)) << "the shim tells what nobody heard";
}

TEST_F(RestoreTest, AShimThatDoesNotKnowAHungTaskAnyMoreLeavesItStopped) {
  ASSERT_TRUE(Create("c").ok());
  launcher_.living["c"] = launcher_.last();
  launcher_.last()->hangs = true;
  manager_.reset();
  restore_patience_ = absl::Milliseconds(10);
  MakeManager();
  ASSERT_TRUE(manager_->Restore().ok());
  std::promise<absl::StatusOr<Exit>> waiting;
  manager_->Wait("ns", "c", "", [&](absl::StatusOr<Exit> exit) { waiting.set_value(exit); });
  launcher_.living["c"]->on_state = [](const std::string&) {
    return absl::NotFoundError("no such task");
  };
  launcher_.living["c"]->GoOn();
  EXPECT_EQ(waiting.get_future().get()->status, 137u);
  EXPECT_EQ(Delete("c")->status, 137u);
  EXPECT_THAT(cleaned(), ElementsAre("/ns/c"));
}

TEST_F(ShimDeathTest, SigkillEndsAContainerWhoseShimHangs) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  launcher_.last()->on_status = [] { return absl::DeadlineExceededError("Kill: 10s"); };
  EXPECT_TRUE(absl::IsDeadlineExceeded(Await<absl::Status>(
      [&](auto done) { manager_->Kill("ns", "c", "", SIGTERM, false, done); })));
  EXPECT_EQ(StatusOf("c"), Status::kRunning) << "a signal that can be caught ends nothing";
  EXPECT_EQ(Kill("c"), absl::OkStatus());
  EXPECT_TRUE(launcher_.last_ended());
  EXPECT_EQ(Wait("c")->status, 137u);
  EXPECT_THAT(cleaned(), ElementsAre("/ns/c"));
  EXPECT_EQ(Delete("c")->status, 137u);
  EXPECT_THAT(events_.lines(), ElementsAre("exit ns/c/ 100 137", "delete ns/c/ 100 137"));
}

}  // namespace
}  // namespace gantry::tasks
