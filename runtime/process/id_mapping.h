#ifndef GANTRY_RUNTIME_PROCESS_ID_MAPPING_H_
#define GANTRY_RUNTIME_PROCESS_ID_MAPPING_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// User namespaces and the ids they map. Source: user_namespaces(7).

// What the host calls the container's `id`; empty if it is not mapped.
std::optional<uint32_t> ToHostId(const std::vector<IdMapping>& mappings, uint32_t id);

// That of a container, new or joined. The mappings may be unknown (empty) if it is joined.
struct UserNamespace {
  bool exists = false;
  const std::vector<IdMapping>* uids = nullptr;  // borrowed from the spec
  const std::vector<IdMapping>* gids = nullptr;
};
UserNamespace UserNamespaceOf(const Linux& spec);

// Errors: InvalidArgument if mappings and a new user namespace do not go together, if root or the
// process's user or group has no id on the host, or if ranges overlap.
absl::Status CheckMappings(const Linux& spec, const User& user);

// Gives the new user namespace of `pid`, which waits, its mappings: by hand where this process may,
// else by newuidmap(1) and newgidmap(1). A caller without any privilege may map its own ids alone;
// setgroups(2) is then forbidden in there, as the kernel demands.
absl::Status WriteMappings(pid_t pid, const std::vector<IdMapping>& uids,
                           const std::vector<IdMapping>& gids);
// Whether WriteMappings will have to forbid setgroups(2).
bool MappingsForbidSetgroups(const std::vector<IdMapping>& gids);

// A user namespace with these mappings in which no process is: what mount_setattr(2) maps a mount
// by. Takes a short-lived child.
absl::StatusOr<UniqueFd> MakeUserNamespace(const std::vector<IdMapping>& uids,
                                           const std::vector<IdMapping>& gids);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_ID_MAPPING_H_
