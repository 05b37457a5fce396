#ifndef GANTRY_RUNTIME_CGROUP_SETTLE_H_
#define GANTRY_RUNTIME_CGROUP_SETTLE_H_

#include <poll.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace gantry::runtime {

// How long removing and freezing wait for the kernel to be done with processes that are dying or
// stopping.
inline constexpr absl::Duration kSettle = absl::Seconds(10);

// Waits a moment that grows; for states that the kernel tells by no event.
class Backoff {
 public:
  explicit Backoff(absl::Duration limit) : deadline_(absl::Now() + limit) {}
  // False once the limit has passed.
  bool Wait() {
    if (absl::Now() > deadline_) return false;
    ::poll(nullptr, 0, milliseconds_);
    if (milliseconds_ < 16) milliseconds_ *= 2;
    return true;
  }

 private:
  const absl::Time deadline_;
  int milliseconds_ = 1;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_SETTLE_H_
