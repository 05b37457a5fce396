#include "services/gc/scheduler.h"

#include <gtest/gtest.h>

#include <future>

namespace gantry::gc {
namespace {

using metadata::Changes;

// Counts collections, each of which takes `takes` by its own account.
class SchedulerTest : public testing::Test {
 protected:
  Scheduler& Start(const ScheduleOptions& options) {
    scheduler_ = std::make_unique<Scheduler>(options);
    scheduler_->Start([this]() -> absl::StatusOr<Stats> {
      std::unique_lock lock(mutex_);
      ++begun_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !blocked_; });
      ++collections_;
      changed_.notify_all();
      if (!fails_.ok()) return std::exchange(fails_, absl::OkStatus());
      return Stats{.mark = takes_};
    });
    return *scheduler_;
  }
  static ScheduleOptions WithoutStart() { return {.startup_delay = absl::ZeroDuration()}; }

  // Whether there are `wanted` collections within `patience`.
  bool Reaches(int wanted, absl::Duration patience = absl::Seconds(10)) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoMilliseconds(patience),
                             [&] { return collections_ >= wanted; });
  }
  // For what must not happen; a scheduler that is wrong shows within this time.
  bool StaysAt(int wanted) { return !Reaches(wanted + 1, absl::Milliseconds(150)); }
  void Block(bool blocked) {
    const std::lock_guard lock(mutex_);
    blocked_ = blocked;
    changed_.notify_all();
  }
  std::future<absl::Status> Ask() {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    scheduler_->CollectThen([promise](const absl::Status& status) { promise->set_value(status); });
    return promise->get_future();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int begun_ = 0;
  int collections_ = 0;
  bool blocked_ = false;
  absl::Status fails_;
  absl::Duration takes_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, TheFirstCollectionNeedsNoReasonAndTheNextDoes) {
  Start({.startup_delay = absl::Milliseconds(1)});
  EXPECT_TRUE(Reaches(1));
  EXPECT_TRUE(StaysAt(1));
}

TEST_F(SchedulerTest, WithoutAStartupDelayThereIsNoFirstCollection) {
  Start(WithoutStart());
  EXPECT_TRUE(StaysAt(0));
}

TEST_F(SchedulerTest, ADeletionMakesACollectionDueAndAMutationDoesNot) {
  Scheduler& scheduler = Start(WithoutStart());
  scheduler.NoteChanges({.mutations = 99});
  EXPECT_TRUE(StaysAt(0));
  scheduler.NoteChanges({.mutations = 0, .deletions = 1});
  EXPECT_TRUE(Reaches(1));
  EXPECT_TRUE(StaysAt(1));
}

TEST_F(SchedulerTest, ManyMutationsMakeACollectionDue) {
  Scheduler& scheduler = Start(WithoutStart());
  scheduler.NoteChanges({.mutations = 60});
  scheduler.NoteChanges({.mutations = 40});
  EXPECT_TRUE(Reaches(1));
}

TEST_F(SchedulerTest, NoMutationCountsWhereTheThresholdIsZero) {
  ScheduleOptions options = WithoutStart();
  options.mutation_threshold = 0;
  Start(options).NoteChanges({.mutations = 100000});
  EXPECT_TRUE(StaysAt(0));
}

TEST_F(SchedulerTest, AfterALongCollectionDeletionsWaitAndWhoAsksDoesNot) {
  takes_ = absl::Seconds(1);  // and so 49 without one
  Scheduler& scheduler = Start(WithoutStart());
  scheduler.NoteChanges({.mutations = 1, .deletions = 1});
  ASSERT_TRUE(Reaches(1));
  scheduler.NoteChanges({.mutations = 1, .deletions = 1});
  EXPECT_TRUE(StaysAt(1));
  EXPECT_TRUE(Ask().get().ok());
  EXPECT_TRUE(Reaches(2));
}

TEST_F(SchedulerTest, DeletionsBeyondTheThresholdDoNotWait) {
  takes_ = absl::Seconds(1);
  ScheduleOptions options = WithoutStart();
  options.deletion_threshold = 3;
  Scheduler& scheduler = Start(options);
  ASSERT_TRUE(Ask().get().ok());
  scheduler.NoteChanges({.mutations = 2, .deletions = 2});
  EXPECT_TRUE(StaysAt(1));
  scheduler.NoteChanges({.mutations = 1, .deletions = 1});
  EXPECT_TRUE(Reaches(2));
}

TEST_F(SchedulerTest, TheScheduleDelayHoldsForWhoAsks) {
  ScheduleOptions options = WithoutStart();
  options.schedule_delay = absl::Milliseconds(200);
  // Due by itself only much later, so that the delay is what counts.
  options.startup_delay = absl::Hours(1);
  Start(options);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(Ask().get().ok());
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(200));
}

TEST_F(SchedulerTest, WhoAsksDuringACollectionGetsTheNext) {
  Start(WithoutStart());
  Block(true);
  std::future<absl::Status> first = Ask();
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return begun_ == 1; });
  }
  std::future<absl::Status> second = Ask();
  Block(false);
  EXPECT_TRUE(first.get().ok() && second.get().ok());
  const std::lock_guard lock(mutex_);
  EXPECT_EQ(collections_, 2);
}

TEST_F(SchedulerTest, AFailureIsToldToWhoWaitsAndTriedAgain) {
  fails_ = absl::ResourceExhaustedError("no space");
  Scheduler& scheduler = Start(WithoutStart());
  scheduler.NoteChanges({.mutations = 1, .deletions = 1});
  ASSERT_TRUE(Reaches(1));
  EXPECT_TRUE(Reaches(2)) << "the deletion is still a reason, a second later";
  {
    const std::lock_guard lock(mutex_);
    fails_ = absl::ResourceExhaustedError("no space");
  }
  const absl::Status status = Ask().get();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(status.message(), "collect garbage: no space");
}

TEST_F(SchedulerTest, WhoStillWaitsWhenItStopsIsTold) {
  ScheduleOptions options = WithoutStart();
  options.schedule_delay = absl::Hours(1);
  options.startup_delay = absl::Hours(1);
  Scheduler& scheduler = Start(options);
  std::future<absl::Status> asked = Ask();
  scheduler.Stop();
  EXPECT_EQ(asked.get().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Ask().get().code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace gantry::gc
