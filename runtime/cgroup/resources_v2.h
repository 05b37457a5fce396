#ifndef GANTRY_RUNTIME_CGROUP_RESOURCES_V2_H_
#define GANTRY_RUNTIME_CGROUP_RESOURCES_V2_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/cgroup/directory.h"
#include "runtime/spec/resources.h"

namespace gantry::runtime {

// The spec counts in the terms of cgroup v1; these are the values of v2, by the formulas that runc
// and crun use. Errors: InvalidArgument naming the field.

// linux.resources.cpu.shares (2 to 262144) to cpu.weight (1 to 10000).
absl::StatusOr<uint64_t> CpuWeight(uint64_t shares);
// blockIO.weight (10 to 1000) to io.weight (1 to 10000).
absl::StatusOr<uint64_t> IoWeight(uint64_t weight);
// memory.swap counts memory and swap together, memory.swap.max swap alone. Both in bytes, -1 is no
// limit and 0 not set; absent if nothing is to be written.
absl::StatusOr<std::optional<int64_t>> SwapMax(int64_t limit, int64_t swap);

// What to write into one file of a cgroup.
struct FileWrite {
  std::string file;
  std::string value;
  // Of the spec, below linux.resources, for messages.
  std::string field;
  // A kernel that does not have the file holds to the limit anyway.
  bool optional = false;

  bool operator==(const FileWrite&) const = default;
};

// Reads a file of the cgroup as it is now. NotFound if it is not there.
using ReadCgroupFile = std::function<absl::StatusOr<std::string>(const char* file)>;

// All limits but the device rules, in the order in which the kernel takes them. Nothing is written:
// an error leaves the cgroup as it was.
// Errors: InvalidArgument naming the field for a value that cannot be; Unimplemented for a field
// that cgroup v2 has no equivalent of.
absl::StatusOr<std::vector<FileWrite>> PlanResourcesV2(const LinuxResources& resources,
                                                       const ReadCgroupFile& read);

// Controllers that could not be enabled for a cgroup, and why.
using ControllerErrors = std::map<std::string, absl::Status>;

// Writes the limits and attaches the device rules; a new cgroup gets rules even if there are none.
// Errors: as PlanResourcesV2; InvalidArgument naming the field if the kernel refuses a value;
// Unimplemented if a limit needs a controller or a file that the host does not have, and the error
// in `unavailable` if that has one for it.
absl::Status ApplyResourcesV2(const CgroupDir& dir, const LinuxResources& resources, CgroupAge age,
                              const ControllerErrors& unavailable);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_RESOURCES_V2_H_
