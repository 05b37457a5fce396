#ifndef GANTRY_SERVICES_METRICS_GC_METRICS_H_
#define GANTRY_SERVICES_METRICS_GC_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "absl/time/time.h"

namespace gantry::metrics {

// Garbage collections: containerd_gc_collections_total{status="success"|"fail"} and
// containerd_gc_gc_seconds as containerd names them, gantry_gc_removed_total beside them.
// Thread-safe.
class GcMetrics {
 public:
  // `registry` outlives this.
  explicit GcMetrics(prometheus::Registry& registry);

  void Collected(absl::Duration time, size_t removed);
  void Failed();

 private:
  prometheus::Counter* succeeded_;
  prometheus::Counter* failed_;
  prometheus::Counter* removed_;
  prometheus::Histogram* seconds_;
};

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_GC_METRICS_H_
