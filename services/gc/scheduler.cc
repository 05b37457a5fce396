#include "services/gc/scheduler.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"

namespace gantry::gc {
namespace {

ScheduleOptions Bounded(ScheduleOptions options) {
  options.pause_threshold = std::clamp(options.pause_threshold, 0.0, 0.5);
  options.deletion_threshold = std::max<int64_t>(options.deletion_threshold, 0);
  options.mutation_threshold = std::max<int64_t>(options.mutation_threshold, 0);
  options.schedule_delay = std::max(options.schedule_delay, absl::ZeroDuration());
  options.startup_delay = std::max(options.startup_delay, absl::ZeroDuration());
  return options;
}

void LogOutcome(const absl::StatusOr<Stats>& outcome) {
  if (!outcome.ok()) {
    LogError("collect garbage", {{"error", std::string(outcome.status().message())}});
    return;
  }
  LogDebug("garbage collected", {{"alive", absl::StrCat(outcome->marked)},
                                 {"removed", absl::StrCat(outcome->removed)},
                                 {"mark", absl::FormatDuration(outcome->mark)},
                                 {"sweep", absl::FormatDuration(outcome->sweep)},
                                 {"cleanup", absl::FormatDuration(outcome->cleanup)}});
}

}  // namespace

Scheduler::Scheduler(const ScheduleOptions& options)
    : options_(Bounded(options)), first_(options_.startup_delay > absl::ZeroDuration()) {}

Scheduler::~Scheduler() { Stop(); }

void Scheduler::Start(CollectFunction collect) {
  collect_ = std::move(collect);
  last_ = Clock::now();
  not_before_ = last_ + absl::ToChronoNanoseconds(options_.startup_delay);
  thread_ = std::thread([this] { Run(); });
}

void Scheduler::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
  const Waiters waiters = std::exchange(waiters_, {});
  for (const auto& done : waiters) {
    done(absl::UnavailableError("garbage is not collected any more: the daemon ends"));
  }
}

void Scheduler::CollectThen(std::function<void(const absl::Status&)> done) {
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) {
      waiters_.push_back(std::exchange(done, nullptr));
      triggered_ = true;
      Hasten(Clock::now());
    }
  }
  changed_.notify_one();
  if (done != nullptr) done(absl::UnavailableError("garbage is not collected any more"));
}

void Scheduler::NoteChanges(const metadata::Changes& changes) {
  const std::lock_guard lock(mutex_);
  mutations_ += changes.mutations;
  deletions_ += changes.deletions;
  if (options_.deletion_threshold > 0 && deletions_ >= options_.deletion_threshold) {
    Hasten(Clock::now());
  }
  if (IsWanted()) changed_.notify_one();
}

bool Scheduler::IsWanted() const {
  return first_ || triggered_ || deletions_ > 0 ||
         (options_.mutation_threshold > 0 && mutations_ >= options_.mutation_threshold);
}

void Scheduler::Hasten(Clock::time_point now) {
  const Clock::time_point start = now + absl::ToChronoNanoseconds(options_.schedule_delay);
  hastened_ = std::min(hastened_.value_or(start), start);
}

std::optional<Scheduler::Clock::time_point> Scheduler::NextStart() const {
  if (!IsWanted()) return std::nullopt;
  return hastened_.has_value() ? std::min(*hastened_, not_before_) : not_before_;
}

void Scheduler::Run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (stopping_) return;
    const std::optional<Clock::time_point> start = NextStart();
    if (!start.has_value()) {
      changed_.wait(lock);
      continue;
    }
    if (Clock::now() < *start) {
      changed_.wait_until(lock, *start);
      continue;
    }
    // What has been asked for and deleted until here this collection answers for; not what comes
    // while it runs.
    Waiters waiters;
    waiters.swap(waiters_);
    hastened_.reset();
    first_ = triggered_ = false;
    const int64_t deletions = std::exchange(deletions_, 0);
    const int64_t mutations = std::exchange(mutations_, 0);
    lock.unlock();
    const absl::StatusOr<Stats> outcome = collect_();
    LogOutcome(outcome);
    const absl::Status status = Annotate(outcome.status(), "collect garbage");
    for (const auto& done : waiters) done(status);
    lock.lock();
    Reckon(outcome, deletions, mutations);
  }
}

void Scheduler::Reckon(const absl::StatusOr<Stats>& outcome, int64_t deletions, int64_t mutations) {
  const Clock::time_point now = Clock::now();
  if (!outcome.ok()) {
    // The reason for it holds still; each failure waits a second longer.
    deletions_ += deletions;
    mutations_ += mutations;
    not_before_ = now + (not_before_ - last_) + std::chrono::seconds(1);
    last_ = now;
    return;
  }
  last_ = now;
  pauses_ += outcome->mark + outcome->sweep;
  ++collections_;
  absl::Duration interval = absl::Seconds(1);
  if (options_.pause_threshold > 0) {
    const absl::Duration average = pauses_ / collections_;
    interval = average / options_.pause_threshold - average;
  }
  not_before_ = now + absl::ToChronoNanoseconds(interval);
}

}  // namespace gantry::gc
