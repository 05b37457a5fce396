#include "bench/stats/percentiles.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gantry::bench {

void Samples::Merge(const Samples& other) {
  micros_.insert(micros_.end(), other.micros_.begin(), other.micros_.end());
}

double Samples::Percentile(double percent) const {
  if (micros_.empty()) return 0;
  std::sort(micros_.begin(), micros_.end());
  const auto rank =
      static_cast<size_t>(std::ceil(percent / 100 * static_cast<double>(micros_.size())));
  return micros_[std::clamp<size_t>(rank, 1, micros_.size()) - 1];
}

Json Samples::ToJson() const {
  const double sum = std::accumulate(micros_.begin(), micros_.end(), 0.0);
  const double count = static_cast<double>(micros_.size());
  return {{"count", micros_.size()},
          {"min_us", Percentile(0)},
          {"p50_us", Percentile(50)},
          {"p90_us", Percentile(90)},
          {"p99_us", Percentile(99)},
          {"max_us", Percentile(100)},
          {"mean_us", micros_.empty() ? 0 : sum / count}};
}

}  // namespace gantry::bench
