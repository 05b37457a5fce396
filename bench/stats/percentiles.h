#ifndef GANTRY_BENCH_STATS_PERCENTILES_H_
#define GANTRY_BENCH_STATS_PERCENTILES_H_

#include <cstdint>
#include <vector>

#include "base/json.h"

namespace gantry::bench {

// Durations of one kind of call, in microseconds. Not thread-safe: each thread has its own and they
// are merged.
class Samples {
 public:
  void AddNanos(int64_t nanos) { micros_.push_back(static_cast<double>(nanos) / 1000); }
  void Merge(const Samples& other);

  [[nodiscard]] size_t size() const { return micros_.size(); }
  // By the nearest rank; `percent` of 0 to 100. 0 without a sample.
  [[nodiscard]] double Percentile(double percent) const;
  // {"count", "min_us", "p50_us", "p90_us", "p99_us", "max_us", "mean_us"}
  [[nodiscard]] Json ToJson() const;

 private:
  mutable std::vector<double> micros_;
};

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_STATS_PERCENTILES_H_
