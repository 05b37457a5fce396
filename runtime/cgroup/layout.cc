#include "runtime/cgroup/layout.h"

#include <algorithm>
#include <map>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"

namespace gantry::runtime {
namespace {

// Mount options of a cgroup file system that are not controllers.
bool IsController(absl::string_view option) {
  for (const absl::string_view known :
       {"blkio", "cpu", "cpuacct", "cpuset", "debug", "devices", "freezer", "hugetlb", "memory",
        "misc", "net_cls", "net_prio", "perf_event", "pids", "rdma"}) {
    if (option == known) return true;
  }
  return absl::StartsWith(option, "name=");
}

// Controllers (or "" for the v2 tree) and where this process is: "4:memory:/user", "0::/".
std::map<std::string, std::string> OwnPaths(absl::string_view self_cgroup) {
  std::map<std::string, std::string> paths;
  for (const absl::string_view line : absl::StrSplit(self_cgroup, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() != 3) continue;
    for (const absl::string_view controller : absl::StrSplit(fields[1], ',')) {
      paths[std::string(controller)] = fields[2];
    }
  }
  return paths;
}

// `path` is from the root of the hierarchy; what is mounted may be only the part below `root`.
std::string BelowMountRoot(const std::string& path, const std::string& root) {
  if (root == "/") return path;
  if (path == root) return "/";
  return absl::StartsWith(path, root + "/") ? path.substr(root.size()) : std::string("/");
}

// The lines of /proc/self/mountinfo that tell of cgroups: all that is kept of it, since a host may
// have thousands of mounts.
absl::StatusOr<std::string> CgroupMounts() {
  static const absl::StatusOr<std::string>* const mounts = [] {
    absl::StatusOr<std::string> all = ReadFile("/proc/self/mountinfo");
    if (!all.ok()) return new absl::StatusOr<std::string>(all.status());
    std::string kept;
    for (const absl::string_view line : absl::StrSplit(*all, '\n', absl::SkipEmpty())) {
      if (absl::StrContains(line, " - cgroup")) absl::StrAppend(&kept, line, "\n");
    }
    return new absl::StatusOr<std::string>(std::move(kept));
  }();
  return *mounts;
}

}  // namespace

const Hierarchy* CgroupLayout::Find(absl::string_view controller) const {
  for (const Hierarchy& hierarchy : v1) {
    if (std::find(hierarchy.controllers.begin(), hierarchy.controllers.end(), controller) !=
        hierarchy.controllers.end()) {
      return &hierarchy;
    }
  }
  return nullptr;
}

bool CgroupLayout::unified_only() const {
  if (unified_mount.empty()) return false;
  return std::all_of(v1.begin(), v1.end(), [](const Hierarchy& hierarchy) {
    return absl::StartsWith(hierarchy.controllers[0], "name=");
  });
}

CgroupLayout ParseCgroupLayout(absl::string_view mountinfo, absl::string_view self_cgroup) {
  std::map<std::string, std::string> own = OwnPaths(self_cgroup);
  CgroupLayout layout;
  for (const absl::string_view line : absl::StrSplit(mountinfo, '\n', absl::SkipEmpty())) {
    // 36 35 98:0 /root /mount/point options... - fstype source super,options
    const size_t dash = line.find(" - ");
    if (dash == absl::string_view::npos) continue;
    const std::vector<std::string> before = absl::StrSplit(line.substr(0, dash), ' ');
    const std::vector<std::string> after = absl::StrSplit(line.substr(dash + 3), ' ');
    if (before.size() < 5 || after.size() < 3) continue;
    if (after[0] == "cgroup2" && layout.unified_mount.empty()) {
      layout.unified_mount = before[4];
      layout.unified_own_path = own.count("") != 0 ? BelowMountRoot(own[""], before[3]) : "/";
    }
    if (after[0] != "cgroup") continue;
    Hierarchy hierarchy;
    for (const absl::string_view option : absl::StrSplit(after[2], ',')) {
      if (IsController(option)) hierarchy.controllers.emplace_back(option);
    }
    if (hierarchy.controllers.empty() || layout.Find(hierarchy.controllers[0]) != nullptr) continue;
    hierarchy.mount_point = before[4];
    const auto path = own.find(hierarchy.controllers[0]);
    hierarchy.own_path = path != own.end() ? BelowMountRoot(path->second, before[3]) : "/";
    layout.v1.push_back(std::move(hierarchy));
  }
  return layout;
}

absl::StatusOr<const CgroupLayout*> HostCgroupLayout() {
  static const absl::StatusOr<CgroupLayout>* const layout = [] {
    const auto read = []() -> absl::StatusOr<CgroupLayout> {
      GANTRY_ASSIGN_OR_RETURN(const std::string self, ReadFile("/proc/self/cgroup"));
      return HostCgroupLayoutOf(self);
    };
    return new absl::StatusOr<CgroupLayout>(read());
  }();
  if (!layout->ok()) return layout->status();
  return &**layout;
}

absl::StatusOr<CgroupLayout> HostCgroupLayoutOf(absl::string_view self_cgroup) {
  GANTRY_ASSIGN_OR_RETURN(const std::string mounts, CgroupMounts());
  return ParseCgroupLayout(mounts, self_cgroup);
}

std::string CgroupDirectory(const std::string& mount_point, const std::string& own_path,
                            absl::string_view cgroups_path) {
  const bool absolute = !cgroups_path.empty() && cgroups_path[0] == '/';
  const std::string below = CleanPath(absl::StrCat("/", cgroups_path));
  return JoinPath(mount_point, absolute ? below : JoinPath(own_path, below));
}

}  // namespace gantry::runtime
