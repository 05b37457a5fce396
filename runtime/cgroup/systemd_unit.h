#ifndef GANTRY_RUNTIME_CGROUP_SYSTEMD_UNIT_H_
#define GANTRY_RUNTIME_CGROUP_SYSTEMD_UNIT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/cgroup/resources_v2.h"
#include "runtime/cgroup/systemd_client.h"

namespace gantry::runtime {

// A container's scope under systemd, as linux.cgroupsPath names it: "slice:prefix:name".
struct SystemdUnit {
  std::string slice;  // "system.slice"
  std::string unit;   // "prefix-name.scope"
  std::string path;   // below the mount point: "/system.slice/prefix-name.scope"
};

// True for a path of that form: two colons, no slash, and a slice before them or nothing
// ("system.slice" then). A path to a cgroup directory never looks like that.
bool IsSystemdPath(absl::string_view cgroups_path);

// Errors: InvalidArgument naming the path if the slice is none that systemd could have, and for a
// name of a slice: a container is a scope.
absl::StatusOr<SystemdUnit> ParseSystemdPath(absl::string_view cgroups_path);

// The properties that say to systemd what `writes` say to the kernel, so that it does not set
// others of its own. Limits that systemd has no property for are left to the files.
std::vector<UnitProperty> LimitProperties(const std::vector<FileWrite>& writes);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_SYSTEMD_UNIT_H_
