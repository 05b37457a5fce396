#ifndef GANTRY_SERVICES_SNAPSHOTS_ID_MAPPING_H_
#define GANTRY_SERVICES_SNAPSHOTS_ID_MAPPING_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/identifiers.h"

namespace gantry::snapshots {

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;

  bool operator==(const Owner&) const = default;
};

// Who on the host is root in the container, by the labels containerd.io/snapshot/uidmapping and
// gidmapping ("CONTAINER:HOST:SIZE,..."); none without them. Errors: InvalidArgument that names the
// label: only one of the two, not of that form, or root not mapped.
absl::StatusOr<std::optional<Owner>> RootOwner(const Labels& labels);

// The mount options that the labels mean, in containerd 2's form. None without both.
std::vector<std::string> IdMapOptions(const Labels& labels);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_ID_MAPPING_H_
