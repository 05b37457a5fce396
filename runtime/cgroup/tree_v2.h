#ifndef GANTRY_RUNTIME_CGROUP_TREE_V2_H_
#define GANTRY_RUNTIME_CGROUP_TREE_V2_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/cgroup/directory.h"
#include "runtime/cgroup/layout.h"
#include "runtime/cgroup/resources_v2.h"

namespace gantry::runtime {

// A cgroup's place in the v2 tree, and what its parents let it control.
struct MadeCgroup {
  CgroupDir dir;
  // False if it was there before, with cgroups below it.
  bool made = false;
  ControllerErrors unavailable;
};

// The directory that `cgroups_path` means. A relative one begins beside this process's own cgroup
// rather than below it: a cgroup with processes in it cannot have cgroups with controllers below.
std::string CgroupDirectoryV2(const CgroupLayout& layout, absl::string_view cgroups_path);

// Makes `path` below `root` (the mount point) and enables in its parents every controller that they
// have. A parent that refuses because this process is in it itself is emptied first: all its
// processes move into a cgroup "gantry-own" below it. A controller that cannot be enabled is no
// error, but is told in `unavailable`.
// Errors: as CgroupDir::MakeFresh; FailedPrecondition, with what to do, if the parent is part of a
// threaded tree, where no container can be.
absl::StatusOr<MadeCgroup> MakeCgroupV2(const std::string& root, const std::string& path);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_TREE_V2_H_
