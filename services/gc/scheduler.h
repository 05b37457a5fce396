#ifndef GANTRY_SERVICES_GC_SCHEDULER_H_
#define GANTRY_SERVICES_GC_SCHEDULER_H_

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "services/gc/collector.h"
#include "services/gc/schedule_options.h"

namespace gantry::gc {

// Decides when collections run, as containerd's scheduler does, and runs them on a thread of its
// own; without a reason to collect it sleeps. Thread-safe.
class Scheduler final : public Trigger {
 public:
  using CollectFunction = std::function<absl::StatusOr<Stats>()>;

  explicit Scheduler(const ScheduleOptions& options);
  ~Scheduler() override;
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Has `collect` called from here on, as long as Stop is not. Call once.
  void Start(CollectFunction collect);
  void CollectThen(std::function<void(const absl::Status&)> done) override;
  // What has been committed to the store; may be called with its lock held.
  void NoteChanges(const metadata::Changes& changes);
  // Waits for a collection under way, and tells those that still wait that there will be none.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;
  using Waiters = std::vector<std::function<void(const absl::Status&)>>;

  void Run();
  // All with mutex_ held.
  [[nodiscard]] bool IsWanted() const;
  void Hasten(Clock::time_point now);
  // When the next collection starts as things are; none: not before something happens.
  [[nodiscard]] std::optional<Clock::time_point> NextStart() const;
  void Reckon(const absl::StatusOr<Stats>& outcome, int64_t deletions, int64_t mutations);

  const ScheduleOptions options_;
  CollectFunction collect_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool first_ = false;      // the one after startup_delay is still to come
  bool triggered_ = false;  // somebody waits
  int64_t deletions_ = 0;
  int64_t mutations_ = 0;
  Waiters waiters_;
  std::optional<Clock::time_point> hastened_;
  Clock::time_point not_before_;
  Clock::time_point last_;
  absl::Duration pauses_;
  int64_t collections_ = 0;
  std::thread thread_;
};

}  // namespace gantry::gc

#endif  // GANTRY_SERVICES_GC_SCHEDULER_H_
