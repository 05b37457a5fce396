#ifndef GANTRY_DAEMON_GC_PART_H_
#define GANTRY_DAEMON_GC_PART_H_

#include <memory>
#include <vector>

#include "daemon/config.h"
#include "services/gc/collector.h"
#include "services/gc/scheduler.h"
#include "services/metrics/gc_metrics.h"
#include "services/rpc/event_publisher.h"

namespace gantry::daemon {

// Garbage collection: the collector, its schedule, and the events of what it removed. There is
// something to trigger from the start, and something to collect between Start and Stop.
class GcPart {
 public:
  // All outlive this. `metrics` may be null.
  GcPart(const Config& config, metadata::Store& store, rpc::EventPublisher& publisher,
         metrics::GcMetrics* metrics);
  ~GcPart();

  [[nodiscard]] gc::Trigger& trigger() { return scheduler_; }
  // `kinds` live until Stop.
  void Start(std::vector<gc::Collectible*> kinds);
  void Stop();

 private:
  absl::StatusOr<gc::Stats> Collect();

  const Config& config_;
  metadata::Store& store_;
  rpc::EventPublisher& publisher_;
  metrics::GcMetrics* const metrics_;
  std::unique_ptr<gc::Collector> collector_;
  gc::Scheduler scheduler_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_GC_PART_H_
