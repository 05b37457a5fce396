#ifndef GANTRY_SERVICES_METRICS_CONTAINER_FAMILIES_H_
#define GANTRY_SERVICES_METRICS_CONTAINER_FAMILIES_H_

#include <functional>
#include <string>
#include <vector>

#include "services/metrics/metrics.h"
#include "services/tasks/tasks.h"

namespace gantry::metrics {

// Tells all containers' counters under containerd's names and units, which are those of the cgroup
// version they were read from: container_cpu_total_nanoseconds{container_id,namespace,runtime} and
// so on. containerd gives the label `runtime` only until it is restarted; here it stays.
void WriteContainerFamilies(const std::vector<tasks::ContainerStats>& containers,
                            const FamilySink& sink);

// One family of container metrics, and what it takes of a container's counters.
using AddSample = std::function<void(double value, Labels labels)>;
template <typename Stats>
struct ContainerFamily {
  std::string name;
  std::string help;
  prometheus::MetricType type;
  std::function<void(const Stats& stats, const AddSample& add)> read;
};

// In the order in which they are told (container_families_v1.cc, container_families_v2.cc).
const std::vector<ContainerFamily<runtime::StatsV1>>& FamiliesV1();
const std::vector<ContainerFamily<runtime::StatsV2>>& FamiliesV2();

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_CONTAINER_FAMILIES_H_
