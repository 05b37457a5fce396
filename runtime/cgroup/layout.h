#ifndef GANTRY_RUNTIME_CGROUP_LAYOUT_H_
#define GANTRY_RUNTIME_CGROUP_LAYOUT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::runtime {

// One cgroup v1 hierarchy: where it is mounted, what it controls, where this process is in it.
struct Hierarchy {
  std::vector<std::string>
      controllers;  // "memory", "cpu", "cpuacct", ...; "name=systemd" for a named one
  std::string mount_point;
  std::string own_path;  // "/" or "/some/where"
};

// How the host lays out its cgroups.
struct CgroupLayout {
  std::vector<Hierarchy> v1;  // empty on a host with v2 alone
  std::string unified_mount;  // cgroup2's mount point; empty if there is none
  std::string unified_own_path;

  // The v2 tree is all there is, or all but named v1 hierarchies that control nothing.
  [[nodiscard]] bool unified_only() const;
  // The hierarchy that has `controller`, or nullptr.
  [[nodiscard]] const Hierarchy* Find(absl::string_view controller) const;
};

// Parses /proc/self/mountinfo and /proc/self/cgroup. Source: proc(5), cgroups(7).
CgroupLayout ParseCgroupLayout(absl::string_view mountinfo, absl::string_view self_cgroup);

// That of this host, read once in the process's life.
absl::StatusOr<const CgroupLayout*> HostCgroupLayout();
// The same for a process whose /proc/self/cgroup is `self_cgroup`.
absl::StatusOr<CgroupLayout> HostCgroupLayoutOf(absl::string_view self_cgroup);

// The directory below `mount_point` that `cgroups_path` means: an absolute path begins at the root
// of the hierarchy, a relative one at `own_path`; ".." is resolved by text and cannot leave.
std::string CgroupDirectory(const std::string& mount_point, const std::string& own_path,
                            absl::string_view cgroups_path);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_LAYOUT_H_
