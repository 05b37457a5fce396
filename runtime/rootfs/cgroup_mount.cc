#include <sys/mount.h>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"
#include "runtime/cgroup/layout.h"
#include "runtime/rootfs/mount_options.h"
#include "runtime/rootfs/rootfs_plan.h"

namespace gantry::runtime {
namespace {

struct MountedHierarchy {
  std::string directory;  // on the host
  std::string options;    // of the superblock: "rw,cpu,cpuacct"
};

// The v1 cgroup file systems of this mount namespace.
absl::StatusOr<std::vector<MountedHierarchy>> Hierarchies() {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/self/mountinfo"));
  std::vector<MountedHierarchy> found;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> halves =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    const std::vector<absl::string_view> left = absl::StrSplit(halves.first, ' ');
    const std::vector<absl::string_view> right = absl::StrSplit(halves.second, ' ');
    if (left.size() < 5 || right.size() < 3) continue;
    if (right[0] != "cgroup") continue;
    // A part of a hierarchy bound somewhere else is not where the host keeps it.
    if (left[3] != "/") continue;
    found.push_back(MountedHierarchy{std::string(left[4]), std::string(right[2])});
  }
  return found;
}

// Where this process is, by the controllers of the hierarchy ("cpu,cpuacct"): a relative
// linux.cgroupsPath begins there.
absl::StatusOr<std::map<std::string, std::string>> OwnCgroups() {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/self/cgroup"));
  std::map<std::string, std::string> found;
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() == 3) found[parts[1]] = parts[2];
  }
  return found;
}

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

// "rw,cpu,cpuacct,name=systemd" without what is no controller's name.
std::vector<std::string> Controllers(const std::string& options) {
  std::vector<std::string> names;
  for (absl::string_view option : absl::StrSplit(options, ',')) {
    if (option == "rw" || option == "ro" || option == "xattr" || option == "clone_children" ||
        absl::StartsWith(option, "release_agent=")) {
      continue;
    }
    names.emplace_back(option);
  }
  return names;
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
  GANTRY_ASSIGN_OR_RETURN(const std::vector<MountedHierarchy> hierarchies, Hierarchies());
  std::map<std::string, std::string> begins;
  if (cgroups_path.empty() || cgroups_path[0] != '/') {
    GANTRY_ASSIGN_OR_RETURN(begins, OwnCgroups());
  }
  const auto place_of = [&](const MountedHierarchy& hierarchy, const std::string& controllers) {
    // Cleaned before it is joined, so that ".." ends at the root.
    return JoinPath(hierarchy.directory,
                    CleanPath(absl::StrCat("/", begins[controllers], "/", cgroups_path)));
  };
  AddFileSystem("tmpfs", {FsOption{"mode", "755"}, FsOption{"source", "tmpfs"}}, target,
                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, plan);
  for (const MountedHierarchy& hierarchy : hierarchies) {
    const std::string place = JoinPath(target, BaseName(hierarchy.directory));
    const std::vector<std::string> controllers = Controllers(hierarchy.options);
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
      AddBind(place_of(hierarchy, absl::StrJoin(controllers, ",")), place, options, plan);
    }
    // "cpu" and "cpuacct" beside "cpu,cpuacct".
    if (controllers.size() < 2) continue;
    for (const std::string& controller : controllers) {
      if (controller == BaseName(hierarchy.directory)) continue;
      const LinkArgs link{plan->Text(target), plan->Text(controller),
                          plan->Text(std::string(BaseName(hierarchy.directory))), false};
      plan->Add(MakeLink, "make link", JoinPath(target, controller), link);
    }
  }
  if ((options.attr_set & MOUNT_ATTR_RDONLY) != 0) {
    plan->Add(ReadonlyMount, "make read-only", target, PathArgs{plan->Text(target)});
  }
  return absl::OkStatus();
}

}  // namespace gantry::runtime
