// Kills a real gantryd at every durable step of imports, unpacks, deletes and collections, each
// time that it is passed, and holds the next one to what was acknowledged; and has it find the disk
// full at every step of an unpack.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <iostream>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "tests/fault/scenario.h"

namespace gantry::test {
namespace {

using testing::IsEmpty;

// Collections only where the scenario asks for one, so that every run passes the same points. After
// a crash the first of them is the one that goes through all files.
constexpr char kQuietCollector[] = R"(
[plugins."io.containerd.gc.v1.scheduler"]
  startup_delay = "0s"
  pause_threshold = 0.0
  mutation_threshold = 0
)";

class FaultWalkTest : public testing::Test {
 protected:
  // A gantryd that has not been started yet but once, to learn where its files are.
  void Prepare() {
    auto started = DaemonProcess::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
    Kill();
    const std::string config = daemon_->directory() + "/c.toml";
    const std::string text = ReadFile(config).value_or("") + kQuietCollector;
    ASSERT_TRUE(WriteFileAtomic(config, text, 0600, Durability::kNotDurable).ok());
  }
  void Kill() {
    daemon_->Signal(SIGKILL);
    EXPECT_TRUE(daemon_->Wait().ok());
  }
  absl::Status Restart(std::vector<std::string> environment) {
    daemon_->SetEnvironment(std::move(environment));
    return daemon_->Restart();
  }

  // How often a run passes each point, from the start of gantryd on.
  std::map<std::string, int> Passes() {
    const std::string log = daemon_->directory() + "/faults";
    EXPECT_TRUE(Restart({"GANTRY_FAULT_LOG=" + log}).ok());
    Scenario scenario(*daemon_);
    for (const Scenario::Step& step : scenario.Steps()) {
      const absl::Status status = step.run();
      EXPECT_TRUE(status.ok()) << step.name << ": " << status;
    }
    EXPECT_THAT(scenario.Problems(), IsEmpty());
    std::map<std::string, int> passes;
    for (const absl::string_view name :
         absl::StrSplit(ReadFile(log).value_or(""), '\n', absl::SkipEmpty())) {
      ++passes[std::string(name)];
    }
    EXPECT_THAT(scenario.Remains(daemon_->root()), IsEmpty());
    Kill();
    return passes;
  }

  // One kill at the `nth` pass of `point`, in an environment that holds nothing yet.
  void KillAt(const std::string& point, int nth) {
    SCOPED_TRACE(point + "@" + std::to_string(nth));
    ++kills_;
    const std::string fault = point + "@" + std::to_string(nth) + "=crash";
    Scenario scenario(*daemon_);
    if (Restart({"GANTRY_FAULT=" + fault}).ok()) {
      scenario.Connect(*daemon_);
      bool failed = false;
      for (const Scenario::Step& step : scenario.Steps()) {
        failed = !step.run().ok();
        if (failed) break;
      }
      // One that is passed at the very end of a step may kill after the answer.
      if (!failed) daemon_->Signal(SIGKILL);
    }
    const auto ended = daemon_->Wait();
    ASSERT_TRUE(ended.ok()) << ended.status();
    EXPECT_EQ(ended->signal, SIGKILL);

    const absl::Status back = Restart({});
    ASSERT_TRUE(back.ok()) << back;
    scenario.Connect(*daemon_);
    looked_for_ += scenario.acknowledged();
    const std::vector<std::string> problems = scenario.Problems();
    EXPECT_THAT(problems, IsEmpty());
    lost_ += problems.size();
    // The client's next try goes through.
    for (const Scenario::Step& step : scenario.Steps()) {
      const absl::Status status = step.run();
      EXPECT_TRUE(status.ok()) << step.name << ": " << status;
    }
    EXPECT_THAT(scenario.Problems(), IsEmpty());
    const std::vector<std::string> remains = scenario.Remains(daemon_->root());
    EXPECT_THAT(remains, IsEmpty());
    orphans_ += remains.size();
    Kill();
  }

  // The disk is full at the `nth` pass of `point`, and not any more when the client tries again.
  void FillAt(const std::string& point, int nth) {
    SCOPED_TRACE(point + "@" + std::to_string(nth));
    ++refusals_;
    const std::string fault = point + "@" + std::to_string(nth) + "=ENOSPC";
    const absl::Status up = Restart({"GANTRY_FAULT=" + fault});
    ASSERT_TRUE(up.ok()) << up;
    Scenario scenario(*daemon_);
    int refused = 0;
    for (const Scenario::Step& step : scenario.Steps()) {
      const absl::Status status = step.run();
      if (status.ok()) continue;
      ++refused;
      EXPECT_TRUE(absl::IsResourceExhausted(status)) << step.name << ": " << status;
      EXPECT_THAT(scenario.Problems(), IsEmpty());
      const absl::Status again = step.run();
      EXPECT_TRUE(again.ok()) << step.name << ": " << again;
    }
    EXPECT_EQ(refused, 1);
    looked_for_ += scenario.acknowledged();
    const std::vector<std::string> problems = scenario.Problems();
    EXPECT_THAT(problems, IsEmpty());
    lost_ += problems.size();
    const std::vector<std::string> remains = scenario.Remains(daemon_->root());
    EXPECT_THAT(remains, IsEmpty());
    orphans_ += remains.size();
    Kill();
  }

  enum class Fault { kKill, kFullDisk };
  // Walks the points whose names begin with one of `prefixes`.
  void Walk(const std::vector<std::string>& prefixes, Fault fault = Fault::kKill) {
    Prepare();
    const std::map<std::string, int> passes = Passes();
    size_t points = 0;
    for (const auto& [point, times] : passes) {
      const bool wanted = std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) {
        return absl::StartsWith(point, prefix);
      });
      if (!wanted) continue;
      ++points;
      for (int nth = 1; nth <= times && !HasFatalFailure(); ++nth) {
        fault == Fault::kKill ? KillAt(point, nth) : FillAt(point, nth);
      }
    }
    std::cout << points << " fault points, " << kills_ << " kills, " << refusals_
              << " times a full disk, " << looked_for_ << " acknowledged things looked for, "
              << lost_ << " lost, " << orphans_ << " orphans\n";
    EXPECT_GT(kills_ + refusals_, 0);
  }

  std::unique_ptr<DaemonProcess> daemon_;
  int kills_ = 0;
  int refusals_ = 0;
  size_t looked_for_ = 0;
  size_t lost_ = 0;
  size_t orphans_ = 0;
};

TEST_F(FaultWalkTest, AKillAtAnyStepOfAnUploadLosesNothingAndShowsNothingHalfDone) {
  Walk({"content."});
}

TEST_F(FaultWalkTest, AKillAroundAnyCommitOfRecordsLosesNothingAndShowsNothingHalfDone) {
  Walk({"metadata."});
}

TEST_F(FaultWalkTest, AKillAtAnyStepOfACollectionOrASnapshotLosesNothingAndShowsNothingHalfDone) {
  Walk({"gc.", "snapshots."});
}

TEST_F(FaultWalkTest, AKillAtAnyStepOfAnUnpackLosesNothingAndShowsNothingHalfDone) {
  Walk({"diff."});
}

TEST_F(FaultWalkTest, AFullDiskAtAnyStepOfAnUnpackIsToldAndLeavesNothing) {
  Walk({"diff."}, Fault::kFullDisk);
}

TEST_F(FaultWalkTest, TheWalkPassesEveryPointThatThereIs) {
  Prepare();
  std::vector<std::string> passed;
  for (const auto& [point, times] : Passes()) passed.push_back(point);
  EXPECT_THAT(
      passed,
      testing::UnorderedElementsAre(
          "content.abort.recorded", "content.abort.set_aside", "content.collect.unlink",
          "content.commit.durable", "content.commit.named", "content.commit.recorded",
          "content.commit.renamed", "content.commit.synced", "content.ingest.directory",
          "content.ingest.recorded", "content.write", "diff.apply.data", "diff.apply.digested",
          "diff.apply.entry", "diff.apply.finish", "diff.apply.mounted", "gc.finished", "gc.marked",
          "gc.settled", "gc.swept", "metadata.checkpoint.made", "metadata.checkpoint.pages",
          "metadata.commit.after", "metadata.commit.before", "metadata.journal.appended",
          "snapshots.commit.synced", "snapshots.create.directory", "snapshots.remove.record",
          "snapshots.remove.unlink"));
}

}  // namespace
}  // namespace gantry::test
