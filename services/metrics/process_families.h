#ifndef GANTRY_SERVICES_METRICS_PROCESS_FAMILIES_H_
#define GANTRY_SERVICES_METRICS_PROCESS_FAMILIES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/metrics/metrics.h"

namespace gantry::metrics {

// What Prometheus' libraries tell of the process they are in: process_cpu_seconds_total,
// process_open_fds, process_resident_memory_bytes and so on. Reads /proc; what cannot be read is
// left out.
void WriteProcessFamilies(const FamilySink& sink);

// The fields of /proc/PID/stat that these are made of. Source: proc(5).
struct ProcessStat {
  uint64_t cpu_ticks = 0;  // user and system
  uint64_t threads = 0;
  uint64_t start_ticks = 0;  // since boot
  uint64_t virtual_bytes = 0;
  uint64_t resident_pages = 0;
};
// Errors: DataLoss.
absl::StatusOr<ProcessStat> ParseProcessStat(absl::string_view text);

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_PROCESS_FAMILIES_H_
