#include "services/metrics/task_families.h"

namespace gantry::metrics {
namespace {

constexpr const char* kStatusNames[] = {"unknown", "created", "running",
                                        "stopped", "paused",  "pausing"};
static_assert(std::size(kStatusNames) == tasks::kStatusCount);

}  // namespace

void WriteTaskFamilies(const tasks::TaskCounts& counts, const FamilySink& sink) {
  FamilyBuilder by_status("gantry_tasks", "Tasks by the status of their first process",
                          prometheus::MetricType::Gauge);
  for (size_t status = 0; status < tasks::kStatusCount; ++status) {
    by_status.Add(static_cast<double>(counts.tasks[status]), {{"status", kStatusNames[status]}});
  }
  std::move(by_status).WriteTo(sink);
  FamilyBuilder shims("gantry_shims", "Shims that live", prometheus::MetricType::Gauge);
  shims.Add(static_cast<double>(counts.shims));
  std::move(shims).WriteTo(sink);
}

}  // namespace gantry::metrics
