#ifndef GANTRY_BASE_EVENT_LOOP_H_
#define GANTRY_BASE_EVENT_LOOP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"

namespace gantry {

// An epoll(7) loop for one thread: the shim's whole life, and gantryd's one thread for all shims.
// Everything but Post and Stop must be called on the loop's own thread (before Run: the thread that
// will call it). Callbacks run one at a time and must not block.
class EventLoop {
 public:
  using IoCallback = std::function<void(uint32_t events)>;
  using TimerId = uint64_t;

  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  ~EventLoop();

  // Calls `callback` with EPOLL* bits while `fd` is ready for `events` (level-triggered unless
  // EPOLLET is among them). The descriptor stays the caller's: Remove it before it is closed.
  // Remove is allowed from inside any callback, the descriptor's own included.
  absl::Status Add(int fd, uint32_t events, IoCallback callback);
  absl::Status Modify(int fd, uint32_t events);
  void Remove(int fd);

  // Runs `callback` once after `delay`. Cancel of a timer that ran or never was does nothing.
  TimerId After(absl::Duration delay, std::function<void()> callback);
  void Cancel(TimerId timer);

  // Any thread: runs `work` on the loop, in order of posting.
  void Post(std::function<void()> work);

  // Runs until Stop.
  void Run();
  // Handles what is ready now, waits at most `timeout` for it. For tests and short waits.
  void RunOnce(absl::Duration timeout);
  // Any thread.
  void Stop();

 private:
  struct Entry {
    uint64_t generation;
    std::shared_ptr<IoCallback> callback;
  };
  EventLoop(UniqueFd epoll, UniqueFd wake) : epoll_(std::move(epoll)), wake_(std::move(wake)) {}
  int WaitMilliseconds(absl::Duration limit) const;
  void RunTimers();
  void RunPosted();

  UniqueFd epoll_;
  UniqueFd wake_;
  uint64_t next_generation_ = 1;
  std::unordered_map<int, Entry> entries_;
  // Ordered by deadline; the id keeps equal deadlines in order and makes each key unique.
  std::map<std::pair<absl::Time, TimerId>, std::function<void()>> timers_;
  std::unordered_map<TimerId, absl::Time> timer_deadlines_;
  TimerId next_timer_ = 1;

  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool stopped_ = false;
};

}  // namespace gantry

#endif  // GANTRY_BASE_EVENT_LOOP_H_
