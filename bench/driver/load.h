#ifndef GANTRY_BENCH_DRIVER_LOAD_H_
#define GANTRY_BENCH_DRIVER_LOAD_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "bench/driver/client.h"
#include "bench/stats/percentiles.h"

namespace gantry::bench {

int64_t MonotonicNanos();

// Times the parts of one operation: each lap is a call.
class Laps {
 public:
  Laps() : start_(MonotonicNanos()), last_(start_) {}
  void Lap(const std::string& name);
  // From outside: a span that is no lap.
  void Add(const std::string& name, int64_t nanos) { laps_[name].AddNanos(nanos); }
  // The whole, under "total"; later calls do nothing.
  void Finish();
  [[nodiscard]] const std::map<std::string, Samples>& laps() const { return laps_; }

 private:
  int64_t start_;
  int64_t last_;
  std::map<std::string, Samples> laps_;
};

struct LoadOptions {
  int connections = 1;  // each of its own thread, which has one call under way
  int runs = 20;        // over all connections
};

// Runs `operation` with the number of its run, from `connections` threads at once, and gives
// {"wall_ms", "per_second", "laps": {NAME: percentiles}}. The first error ends the load.
absl::StatusOr<Json> RunLoad(
    const Target& target, const LoadOptions& options,
    const std::function<absl::Status(Client& client, int run, Laps& laps)>& operation);

}  // namespace gantry::bench

#endif  // GANTRY_BENCH_DRIVER_LOAD_H_
