#ifndef GANTRY_SERVICES_METRICS_TASK_FAMILIES_H_
#define GANTRY_SERVICES_METRICS_TASK_FAMILIES_H_

#include "services/metrics/metrics.h"
#include "services/tasks/tasks.h"

namespace gantry::metrics {

// gantry_tasks{status="running"} and so on, and gantry_shims.
void WriteTaskFamilies(const tasks::TaskCounts& counts, const FamilySink& sink);

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_TASK_FAMILIES_H_
