#ifndef GANTRY_SERVICES_METRICS_BUCKETS_H_
#define GANTRY_SERVICES_METRICS_BUCKETS_H_

#include <prometheus/histogram.h>

namespace gantry::metrics {

// Upper bounds in seconds: the default of Prometheus' libraries, which containerd keeps.
inline prometheus::Histogram::BucketBoundaries SecondsBuckets() {
  return {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_BUCKETS_H_
