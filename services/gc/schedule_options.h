#ifndef GANTRY_SERVICES_GC_SCHEDULE_OPTIONS_H_
#define GANTRY_SERVICES_GC_SCHEDULE_OPTIONS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace gantry::gc {

// containerd's settings of the same names ([plugins."io.containerd.gc.v1.scheduler"]).
struct ScheduleOptions {
  // The most of all time that collections may take, 0 to 0.5: after one, the next that is not asked
  // for waits until the average is below.
  double pause_threshold = 0.02;
  // Deletions that make a collection due at once; 0: they only make it due when it may be.
  int64_t deletion_threshold = 0;
  // Changes of any kind after which the next is due, 0 for never.
  int64_t mutation_threshold = 100;
  // From the moment when one is asked for to its start.
  absl::Duration schedule_delay = absl::ZeroDuration();
  // To the first one, which needs no reason; 0: none.
  absl::Duration startup_delay = absl::Milliseconds(100);
};

}  // namespace gantry::gc

#endif  // GANTRY_SERVICES_GC_SCHEDULE_OPTIONS_H_
