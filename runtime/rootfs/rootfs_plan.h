#ifndef GANTRY_RUNTIME_ROOTFS_ROOTFS_PLAN_H_
#define GANTRY_RUNTIME_ROOTFS_ROOTFS_PLAN_H_

#include <string>

#include "absl/status/status.h"
#include "runtime/container.h"
#include "runtime/process/plan.h"

namespace gantry::runtime {

// The steps that make the root file system of a container and enter it. `root` is the absolute path
// of spec.root.path on the host, `cgroups_path` where the container's cgroup is in each hierarchy.
// Errors: InvalidArgument naming the mount, device or option; Unimplemented for what is not built.
absl::Status PlanRootfs(const CreateOptions& options, const std::string& root,
                        const std::string& cgroups_path, PlanBuilder* plan);

// Its parts: a mount of the spec's, one of the snapshotter's (on `root`, or with a target within it
// once that is open), and the cgroup tree.
absl::Status PlanMount(const SpecMount& mount, const std::string& bundle, PlanBuilder* plan);
absl::Status PlanRootMount(const Mount& mount, const std::string& root, PlanBuilder* plan);
absl::Status PlanCgroupMount(const SpecMount& mount, const std::string& cgroups_path,
                             bool own_namespace, PlanBuilder* plan);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_ROOTFS_ROOTFS_PLAN_H_
