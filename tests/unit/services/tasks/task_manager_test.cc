#include "services/tasks/task_manager.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/unit/services/tasks/fixture.h"

namespace gantry::tasks {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(TaskManagerTest, CreateGivesThePidAndPutsTheSpecIntoAPrivateBundle) {
  ASSERT_EQ(*Create("c"), 100u);
  EXPECT_EQ(StatusOf("c"), Status::kCreated);
  EXPECT_EQ(manager_->Get("ns", "c", "")->io.out, "/fifo");
  EXPECT_EQ(launcher_.last()->created.bundle, Bundle("c"));
  EXPECT_EQ(launcher_.last()->created.options.value, "o");
  EXPECT_EQ(*ReadFile(Bundle("c") + "/config.json"), container_.spec.value);
  struct stat info = {};
  ASSERT_EQ(::stat((Bundle("c") + "/config.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat((Bundle("c") + "/rootfs").c_str(), &info), 0);
  EXPECT_TRUE(S_ISDIR(info.st_mode));
}

TEST_F(TaskManagerTest, TheRecordsOptionsAreAddedToTheMountOfTheRootAlone) {
  container_.root_options = {"uidmap=0:1:2", "gidmap=0:3:4"};
  CreateTask request;
  request.id = "c";
  request.rootfs = {{"overlay", "overlay", "", {"lowerdir=/a:/b"}}, {"bind", "/x", "/in", {"ro"}}};
  const auto created =
      Await<absl::StatusOr<uint32_t>>([&](auto done) { manager_->Create("ns", request, done); });
  ASSERT_TRUE(created.ok()) << created.status();
  const std::vector<Mount>& rootfs = launcher_.last()->created.rootfs;
  ASSERT_EQ(rootfs.size(), 2u);
  EXPECT_THAT(rootfs[0].options, ElementsAre("uidmap=0:1:2", "gidmap=0:3:4", "lowerdir=/a:/b"));
  EXPECT_THAT(rootfs[1].options, ElementsAre("ro"));
}

TEST_F(TaskManagerTest, ASecondTaskOfAContainerIsRefused) {
  ASSERT_TRUE(Create("c").ok());
  EXPECT_EQ(Create("c").status(), absl::AlreadyExistsError("task c: already exists"));
  EXPECT_EQ(StatusOf("c"), Status::kCreated);
  EXPECT_TRUE(BundleIsThere("c"));
}

TEST_F(TaskManagerTest, AFailedCreateKeepsTheShimsWordsAndCodeAndLeavesNothing) {
  launcher_.prepare = [](FakeShim& shim) {
    shim.on_create = [] { return absl::UnknownError("exec: \"/no\": stat /no: no such file"); };
  };
  EXPECT_EQ(
      Create("c").status(),
      absl::UnknownError("failed to create shim task: exec: \"/no\": stat /no: no such file"));
  EXPECT_TRUE(launcher_.last_ended());
  EXPECT_FALSE(BundleIsThere("c"));
  EXPECT_TRUE(absl::IsNotFound(manager_->Get("ns", "c", "").status()));
  // The shim answered, so the cgroup is its affair, or another container's.
  EXPECT_THAT(cleaned(), IsEmpty());
  EXPECT_THAT(events_.lines(), IsEmpty());
  launcher_.prepare = [](FakeShim&) {};
  EXPECT_TRUE(Create("c").ok());
}

TEST_F(TaskManagerTest, AShimThatDoesNotAnswerCreateIsKilledWithItsCgroup) {
  launcher_.prepare = [](FakeShim& shim) {
    shim.on_create = [] { return absl::DeadlineExceededError("Create: 30s"); };
  };
  EXPECT_TRUE(absl::IsDeadlineExceeded(Create("c").status()));
  EXPECT_TRUE(launcher_.last_ended());
  EXPECT_THAT(cleaned(), ElementsAre("/ns/c"));
  EXPECT_FALSE(BundleIsThere("c"));
}

TEST_F(TaskManagerTest, AShimThatDoesNotStartLeavesNothing) {
  launcher_.launch_status = absl::ResourceExhaustedError("start shim: too many processes");
  EXPECT_EQ(
      Create("c").status(),
      absl::ResourceExhaustedError("failed to create shim task: start shim: too many processes"));
  EXPECT_FALSE(BundleIsThere("c"));
  EXPECT_THAT(manager_->List("ns"), IsEmpty());
}

TEST_F(TaskManagerTest, BadCreatesAreRefusedWithTheirReasonAndChangeNothing) {
  EXPECT_TRUE(absl::IsInvalidArgument(Create("../x").status()));
  EXPECT_EQ(Create("unknown").status().message(),
            "container \"unknown\" in namespace \"ns\": not found");
  container_.runtime_name = "io.containerd.no-such.v2";
  const absl::Status runtime = Create("c").status();
  EXPECT_TRUE(absl::IsNotFound(runtime));
  EXPECT_THAT(std::string(runtime.message()), testing::HasSubstr("\"containerd-shim-no-such-v2\""));
  container_.runtime_name = "io.containerd.gantry.v1";
  container_.spec.value = "no json";
  EXPECT_TRUE(absl::IsInvalidArgument(Create("c").status()));
  EXPECT_FALSE(BundleIsThere("c"));
}

TEST_F(TaskManagerTest, WaitFromBeforeTheStartAnswersAtTheExitAndAtOnceAfterIt) {
  ASSERT_TRUE(Create("c").ok());
  std::promise<absl::StatusOr<Exit>> early;
  manager_->Wait("ns", "c", "",
                 [&](absl::StatusOr<Exit> exit) { early.set_value(std::move(exit)); });
  ASSERT_TRUE(Start("c").ok());
  EXPECT_EQ(StatusOf("c"), Status::kRunning);
  EXPECT_TRUE(Exited("c", 9));
  EXPECT_EQ(StatusOf("c"), Status::kStopped);
  EXPECT_EQ(early.get_future().get()->status, 9u);
  const absl::StatusOr<Exit> late = Wait("c");
  EXPECT_EQ(late->status, 9u);
  EXPECT_EQ(late->at, absl::FromUnixSeconds(7));
  EXPECT_EQ(Wait("x").status(), absl::NotFoundError("task x not found"));
  EXPECT_TRUE(absl::IsNotFound(Wait("c", "e").status()));
}

TEST_F(TaskManagerTest, AnExitThatOvertakesTheAnswerOfStartStays) {
  launcher_.prepare = [this](FakeShim& shim) {
    shim.on_start = [this] {
      Exited("c", 0);
      return 100u;
    };
  };
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  EXPECT_EQ(StatusOf("c"), Status::kStopped);
}

TEST_F(TaskManagerTest, AnExitIsPublishedOnce) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  EXPECT_TRUE(Exited("c", 1));
  EXPECT_FALSE(Exited("c", 1));
  // Of a task that is not in the record: somebody may want it.
  EXPECT_TRUE(Exited("other", 1));
}

TEST_F(TaskManagerTest, AStoppedTaskIsNotKilledAgain) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  EXPECT_TRUE(Kill("c").ok());
  Exited("c", 137);
  const absl::Status again = Kill("c");
  EXPECT_TRUE(absl::IsNotFound(again));
  EXPECT_THAT(std::string(again.message()), testing::HasSubstr("process already finished"));
  EXPECT_EQ(Kill("x"), absl::NotFoundError("task x not found"));
}

TEST_F(TaskManagerTest, ARunningTaskIsNotDeleted) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  const absl::Status refused = Delete("c").status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(refused.message()),
              testing::HasSubstr("task c must be stopped before deletion"));
  EXPECT_EQ(launcher_.last()->Calls("Delete"), 0);
  EXPECT_EQ(StatusOf("c"), Status::kRunning);
}

TEST_F(TaskManagerTest, DeleteGivesTheExitEndsTheShimAndMakesRoomForAnother) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  Exited("c", 3);
  const absl::StatusOr<Exit> exit = Delete("c");
  ASSERT_TRUE(exit.ok()) << exit.status();
  EXPECT_EQ(exit->status, 3u);
  EXPECT_EQ(exit->pid, 100u);
  EXPECT_EQ(launcher_.last()->CallsInTheEnd("Shutdown"), 1);
  EXPECT_FALSE(BundleIsThere("c"));
  EXPECT_THAT(manager_->List("ns"), IsEmpty());
  // Both were the shim's to tell.
  EXPECT_THAT(events_.lines(), IsEmpty());
  EXPECT_TRUE(Create("c").ok());
}

TEST_F(TaskManagerTest, AShimThatACrashKeptFromItsEndIsEndedByRestore) {
  const std::string bundle = state_.path() + "/gone/1";
  ASSERT_EQ(MakeDirectories(bundle), absl::OkStatus());
  const pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  const ShimAddress address{
      .socket = "/s", .pid = child, .start_time = *StartTimeOf(child), .boot_id = *BootId()};
  ASSERT_EQ(WriteAddress(bundle, address), absl::OkStatus());
  ASSERT_EQ(manager_->Restore(), absl::OkStatus());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_NE(::access(bundle.c_str(), F_OK), 0);
}

TEST_F(TaskManagerTest, DeleteDoesNotWaitForALateExitEventAndTellsTheExitFirst) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  launcher_.last()->on_state = [](const std::string&) {
    return ProcessState{.pid = 100, .status = Status::kStopped, .exit_status = 3};
  };
  ASSERT_TRUE(Delete("c").ok());
  EXPECT_THAT(events_.lines(), ElementsAre("exit ns/c/ 100 3"));
  EXPECT_FALSE(Exited("c", 3)) << "the shim's own event came after ours";
}

TEST_F(TaskManagerTest, AShimThatHangsAtDeleteIsKilledAndTheTaskIsDeleted) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  Exited("c", 4);
  launcher_.last()->on_delete = [] { return absl::DeadlineExceededError("Delete: 10s"); };
  const absl::StatusOr<Exit> exit = Delete("c");
  ASSERT_TRUE(exit.ok()) << exit.status();
  EXPECT_EQ(exit->status, 4u);
  EXPECT_TRUE(launcher_.last_ended());
  EXPECT_FALSE(BundleIsThere("c"));
  EXPECT_THAT(events_.lines(), ElementsAre("delete ns/c/ 100 4"));
}

TEST_F(TaskManagerTest, AShimThatStaysAfterShutdownIsKilled) {
  manager_.reset();
  shutdown_timeout_ = absl::Milliseconds(20);
  MakeManager();
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Delete("c").ok());
  siginfo_t info = {};
  EXPECT_EQ(::waitid(P_PID, launcher_.last_pid(), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(info.si_status, SIGKILL);
}

TEST_F(TaskManagerTest, NamespacesDoNotSeeEachOther) {
  ASSERT_TRUE(Create("c", "one").ok());
  ASSERT_TRUE(Create("c", "two").ok());
  EXPECT_EQ(manager_->List("one").size(), 1u);
  EXPECT_THAT(manager_->List("on"), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(manager_->Get("three", "c", "").status()));
}

TEST_F(TaskManagerTest, PauseAndResumeAreInTheRecord) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  const auto pause = [&](auto done) { manager_->Pause("ns", "c", done); };
  ASSERT_TRUE(Await<absl::Status>(pause).ok());
  EXPECT_EQ(StatusOf("c"), Status::kPaused);
  ASSERT_TRUE(Await<absl::Status>([&](auto done) { manager_->Resume("ns", "c", done); }).ok());
  EXPECT_EQ(StatusOf("c"), Status::kRunning);
  launcher_.last()->on_status = [] { return absl::UnknownError("freezer"); };
  EXPECT_FALSE(Await<absl::Status>(pause).ok());
  EXPECT_EQ(StatusOf("c"), Status::kRunning);
}

TEST_F(TaskManagerTest, MetricsLeaveOutTheTaskWhoseShimDoesNotAnswer) {
  ASSERT_TRUE(Create("a").ok());
  launcher_.last()->on_stats = [] { return absl::DeadlineExceededError("Stats: 3s"); };
  ASSERT_TRUE(Create("b").ok());
  ASSERT_TRUE(Create("c").ok());
  std::promise<std::vector<TaskMetrics>> answer;
  manager_->Metrics(
      "ns", [](const ProcessState& state) { return state.container_id != "c"; },
      [&](std::vector<TaskMetrics> metrics) { answer.set_value(std::move(metrics)); });
  const std::vector<TaskMetrics> metrics = answer.get_future().get();
  ASSERT_EQ(metrics.size(), 1u);
  EXPECT_EQ(metrics[0].id, "b");
  EXPECT_EQ(metrics[0].data.value, "bytes");
}

TEST_F(TaskManagerTest, AShimIsAskedByContainerAndNamespace) {
  ASSERT_TRUE(Create("c").ok());
  const auto ask = [&](const std::string& ns, const std::string& id) {
    return Await<absl::StatusOr<std::string>>(
        [&](auto done) { manager_->CallShim(ns, id, "State", "request", done); });
  };
  EXPECT_EQ(ask("ns", "c").value_or("failed"), "State:request");
  EXPECT_TRUE(absl::IsNotFound(ask("other", "c").status()));
  EXPECT_TRUE(absl::IsNotFound(ask("ns", "d").status()));
}

TEST_F(TaskManagerTest, ExecsHaveRecordsOfTheirOwn) {
  ASSERT_TRUE(Create("c").ok());
  ASSERT_TRUE(Start("c").ok());
  ASSERT_TRUE(Exec("c", "e").ok());
  EXPECT_EQ(StatusOf("c", "e"), Status::kCreated);
  EXPECT_TRUE(absl::IsAlreadyExists(Exec("c", "e")));
  EXPECT_TRUE(absl::IsInvalidArgument(Exec("c", "c")));
  EXPECT_TRUE(absl::IsInvalidArgument(Exec("c", "a/b")));
  launcher_.last()->on_start = [] { return 200u; };
  EXPECT_EQ(*Start("c", "e"), 200u);
  EXPECT_EQ(StatusOf("c", "e"), Status::kRunning);
  EXPECT_TRUE(Exited("c", 5, "e", 200));
  EXPECT_EQ(Wait("c", "e")->status, 5u);
  EXPECT_EQ(StatusOf("c"), Status::kRunning);
  EXPECT_TRUE(DeleteProcess("c", "e").ok());
  EXPECT_TRUE(absl::IsNotFound(manager_->Get("ns", "c", "e").status()));
  EXPECT_TRUE(absl::IsNotFound(DeleteProcess("c", "e").status()));
  EXPECT_THAT(ListExecRecords(Bundle("c")), IsEmpty());
  EXPECT_THAT(events_.lines(), IsEmpty());
}

TEST_F(TaskManagerTest, AnExecThatTheShimRefusesLeavesNoRecord) {
  ASSERT_TRUE(Create("c").ok());
  launcher_.last()->on_status = [] { return absl::InvalidArgumentError("bad spec"); };
  EXPECT_EQ(Exec("c", "e"), absl::InvalidArgumentError("bad spec"));
  EXPECT_TRUE(absl::IsNotFound(manager_->Get("ns", "c", "e").status()));
  EXPECT_THAT(ListExecRecords(Bundle("c")), IsEmpty());
}

}  // namespace
}  // namespace gantry::tasks
