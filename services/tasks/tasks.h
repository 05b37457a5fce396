#ifndef GANTRY_SERVICES_TASKS_TASKS_H_
#define GANTRY_SERVICES_TASKS_TASKS_H_

#include <array>
#include <cstddef>
#include <string>

#include "runtime/cgroup/stats.h"
#include "services/tasks/shim.h"

namespace gantry::tasks {

// What the tasks offer to their siblings: figures.

// What the kernel counts for one container.
struct ContainerStats {
  std::string ns;
  std::string id;
  std::string runtime;  // the name in the container's record; may be empty
  runtime::CgroupStats stats;
};

inline constexpr size_t kStatusCount = static_cast<size_t>(Status::kPausing) + 1;

struct TaskCounts {
  std::array<size_t, kStatusCount> tasks{};  // by status
  size_t shims = 0;                          // that live
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_TASKS_H_
