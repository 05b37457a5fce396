#include "runtime/cgroup/cgroup.h"

#include "base/errors.h"
#include "base/path.h"
#include "runtime/cgroup/cgroup_v1.h"
#include "runtime/cgroup/cgroup_v2.h"
#include "runtime/cgroup/systemd_scope.h"

namespace gantry::runtime {
namespace {

absl::Status CheckPath(absl::string_view cgroups_path) {
  if (CleanPath(absl::StrCat("/", cgroups_path)) != "/") return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("linux.cgroupsPath \"", cgroups_path, "\" names the root of the hierarchy"));
}

absl::StatusOr<const CgroupLayout*> Layout() {
  GANTRY_ASSIGN_OR_RETURN(const CgroupLayout* layout, HostCgroupLayout());
  if (!layout->v1.empty() || !layout->unified_mount.empty()) return layout;
  return absl::FailedPreconditionError(
      "no cgroup file system is mounted: mount cgroup2 on /sys/fs/cgroup");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Cgroup>> Cgroup::Create(absl::string_view cgroups_path,
                                                       const LinuxResources& resources) {
  GANTRY_RETURN_IF_ERROR(CheckPath(cgroups_path));
  GANTRY_ASSIGN_OR_RETURN(const CgroupLayout* layout, Layout());
  if (layout->unified_only() && IsSystemdPath(cgroups_path)) {
    return SystemdScope::Create(*layout, cgroups_path, resources);
  }
  if (layout->unified_only()) return CgroupV2::Create(*layout, cgroups_path, resources);
  return CgroupV1::Create(*layout, cgroups_path, resources);
}

absl::StatusOr<std::unique_ptr<Cgroup>> Cgroup::Open(absl::string_view cgroups_path,
                                                     absl::string_view creator) {
  GANTRY_RETURN_IF_ERROR(CheckPath(cgroups_path));
  GANTRY_ASSIGN_OR_RETURN(const CgroupLayout* own, Layout());
  if (own->unified_only() && IsSystemdPath(cgroups_path)) {
    return SystemdScope::Open(*own, cgroups_path);
  }
  CgroupLayout layout = *own;
  if (!creator.empty()) {
    GANTRY_ASSIGN_OR_RETURN(layout, HostCgroupLayoutOf(creator));
  }
  if (layout.unified_only()) return CgroupV2::Open(layout, cgroups_path);
  return CgroupV1::Open(layout, cgroups_path);
}

}  // namespace gantry::runtime
