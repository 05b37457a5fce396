#include <sys/mount.h>

#include "base/errors.h"
#include "base/path.h"
#include "runtime/cgroup/layout.h"
#include "runtime/rootfs/mount_options.h"
#include "runtime/rootfs/rootfs_plan.h"

namespace gantry::runtime {
namespace {

absl::string_view BaseName(absl::string_view path) { return path.substr(path.rfind('/') + 1); }

void AddBind(const std::string& source, const std::string& target, const MountOptions& options,
             PlanBuilder* plan) {
  MountArgs args{};
  args.source = plan->Text(source);
  args.target = plan->Text(target);
  args.attr_set = options.attr_set;
  args.attr_clear = options.attr_clear;
  args.propagation = MS_PRIVATE;
  plan->Add(MountOne, absl::StrCat("bind ", source, " on"), target, args);
}

void AddFileSystem(const char* type, const std::vector<FsOption>& fs_options,
                   const std::string& target, uint64_t attributes, PlanBuilder* plan) {
  MountArgs args{};
  args.type = plan->Text(type);
  args.target = plan->Text(target);
  args.attr_set = attributes;
  args.options = plan->KeepArray(fs_options.data(), fs_options.size());
  args.option_count = fs_options.size();
  plan->Add(MountOne, absl::StrCat("mount ", type, " on"), target, args);
}

}  // namespace

absl::Status PlanCgroupMount(const SpecMount& mount, const std::string& cgroups_path,
                             bool own_namespace, PlanBuilder* plan) {
  const MountOptions options = ParseMountOptions(mount.options);
  const std::string target = CleanPath(mount.destination);
  GANTRY_ASSIGN_OR_RETURN(const CgroupLayout* const layout, HostCgroupLayout());
  if (layout->unified_only()) {
    if (own_namespace) {
      AddFileSystem("cgroup2", {}, target, options.attr_set, plan);
    } else {
      // In the host's cgroup namespace a container sees the host's paths in /proc/self/cgroup, and
      // finds them here: the whole tree, as with runc. Bound rather than mounted: a mount from the
      // first cgroup namespace sets the options (nsdelegate) of the one file system that all share.
      AddBind(layout->unified_mount, target, options, plan);
    }
    return absl::OkStatus();
  }
  AddFileSystem("tmpfs", {FsOption{"mode", "755"}, FsOption{"source", "tmpfs"}}, target,
                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, plan);
  for (const Hierarchy& hierarchy : layout->v1) {
    const absl::string_view name = BaseName(hierarchy.mount_point);
    const std::string place = JoinPath(target, name);
    const std::vector<std::string>& controllers = hierarchy.controllers;
    if (own_namespace) {
      std::vector<FsOption> fs_options;
      for (const std::string& controller : controllers) {
        const size_t equal = controller.find('=');
        fs_options.push_back(equal == std::string::npos
                                 ? FsOption{plan->Text(controller), nullptr}
                                 : FsOption{plan->Text(controller.substr(0, equal)),
                                            plan->Text(controller.substr(equal + 1))});
      }
      AddFileSystem("cgroup", fs_options, place, options.attr_set, plan);
    } else {
      // Where the container's cgroup was made.
      AddBind(CgroupDirectory(hierarchy.mount_point, hierarchy.own_path, cgroups_path), place,
              options, plan);
    }
    // "cpu" and "cpuacct" beside "cpu,cpuacct".
    if (controllers.size() < 2) continue;
    for (const std::string& controller : controllers) {
      if (controller == name) continue;
      const LinkArgs link{plan->Text(target), plan->Text(controller), plan->Text(std::string(name)),
                          false};
      plan->Add(MakeLink, "make link", JoinPath(target, controller), link);
    }
  }
  if ((options.attr_set & MOUNT_ATTR_RDONLY) != 0) {
    plan->Add(ReadonlyMount, "make read-only", target, PathArgs{plan->Text(target)});
  }
  return absl::OkStatus();
}

}  // namespace gantry::runtime
