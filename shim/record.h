#ifndef GANTRY_SHIM_RECORD_H_
#define GANTRY_SHIM_RECORD_H_

#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"

namespace gantry::shim {

// What a shim writes into a container's bundle for whoever cleans up if it is killed: the processes
// are found by their cgroup, and the pid is only good together with the start time.
struct ContainerRecord {
  pid_t init_pid = 0;
  std::string init_start_time;  // clock ticks since boot, proc(5) stat field 22
  std::string cgroups_path;
};

// shim.json and init.pid. Errors: those of writing.
absl::Status WriteContainerRecord(const std::string& bundle, const ContainerRecord& record);
// Errors: NotFound if the shim wrote none; InvalidArgument if it makes no sense.
absl::StatusOr<ContainerRecord> ReadContainerRecord(const std::string& bundle);

// "" if there is no such process.
std::string StartTimeOf(pid_t pid);

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_RECORD_H_
