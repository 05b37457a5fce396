#include "services/metrics/gc_metrics.h"

#include "services/metrics/buckets.h"

namespace gantry::metrics {

GcMetrics::GcMetrics(prometheus::Registry& registry) {
  auto& collections = prometheus::BuildCounter()
                          .Name("containerd_gc_collections_total")
                          .Help("Garbage collections")
                          .Register(registry);
  succeeded_ = &collections.Add({{"status", "success"}});
  failed_ = &collections.Add({{"status", "fail"}});
  removed_ = &prometheus::BuildCounter()
                  .Name("gantry_gc_removed_total")
                  .Help("Records that garbage collections have removed")
                  .Register(registry)
                  .Add({});
  seconds_ = &prometheus::BuildHistogram()
                  .Name("containerd_gc_gc_seconds")
                  .Help("How long garbage collections took")
                  .Register(registry)
                  .Add({}, SecondsBuckets());
}

void GcMetrics::Collected(absl::Duration time, size_t removed) {
  succeeded_->Increment();
  removed_->Increment(static_cast<double>(removed));
  seconds_->Observe(absl::ToDoubleSeconds(time));
}

void GcMetrics::Failed() { failed_->Increment(); }

}  // namespace gantry::metrics
