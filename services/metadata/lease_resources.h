#ifndef GANTRY_SERVICES_METADATA_LEASE_RESOURCES_H_
#define GANTRY_SERVICES_METADATA_LEASE_RESOURCES_H_

#include <optional>
#include <string>
#include <vector>

#include "services/metadata/store.h"

namespace gantry::metadata {

// What a lease holds: `type` is "content", "ingests", "images" or "snapshots/NAME", `id` the
// digest, ref, name or key.
struct LeaseResource {
  std::string type;
  std::string id;

  bool operator==(const LeaseResource&) const = default;
};

// Errors: NotFound if there is no such lease.
absl::Status CheckLease(const Reader& reader, absl::string_view ns, absl::string_view lease);
// Adds a resource to `lease`, which a request named in its header; does nothing for an empty lease.
// Errors: NotFound if there is no such lease.
absl::Status AttachToLease(Writer& writer, absl::string_view ns, absl::string_view lease,
                           absl::string_view type, absl::string_view id);
absl::Status DetachFromLease(Writer& writer, absl::string_view ns, absl::string_view lease,
                             const LeaseResource& resource);
absl::StatusOr<std::vector<LeaseResource>> ResourcesOfLease(const Reader& reader,
                                                            absl::string_view ns,
                                                            absl::string_view lease);
// The lease that the record `written` is a resource of; none if it is no resource.
std::optional<RecordName> LeaseOfResource(const RecordName& written);
// Drops all that `lease` holds.
absl::Status ClearLease(Writer& writer, absl::string_view ns, absl::string_view lease);

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_LEASE_RESOURCES_H_
