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

// What the mounts of one container have in common.
struct MountContext {
  const Linux& spec;
  const std::string& bundle;
  // The container has a user namespace: its root may not reach every source, so that trees are made
  // by the parent.
  bool in_user_namespace = false;
  // The root is to be shared: a bind has to be cloned where its mount is still a peer of the
  // host's.
  bool shared = false;
};

// Its parts: a mount of the spec's, one of the snapshotter's (on `root`, or with a target within it
// once that is open), and the cgroup tree.
absl::Status PlanMount(const SpecMount& mount, const MountContext& context, PlanBuilder* plan);
absl::Status PlanRootMount(const Mount& mount, const std::string& root, const MountContext& context,
                           PlanBuilder* plan);
// A mount that others are put into, so that it becomes read-only after them; as runc, any tmpfs and
// what is on /dev.
bool IsReadonlyLate(const SpecMount& mount);
absl::Status PlanCgroupMount(const SpecMount& mount, const std::string& cgroups_path,
                             bool own_namespace, PlanBuilder* plan);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_ROOTFS_ROOTFS_PLAN_H_
