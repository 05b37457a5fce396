#include "services/snapshots/overlay_snapshotter.h"

#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/snapshots/id_mapping.h"
#include "services/snapshots/overlay_probe.h"

namespace gantry::snapshots {
namespace {

constexpr char kName[] = "overlayfs";
// What clients of containerd ask a snapshotter for before they change an image's owners.
constexpr char kRemapsIds[] = "remap-ids";
constexpr char kOnlyRemapsIds[] = "only-remap-ids";
constexpr char kUpperLabel[] = "containerd.io/snapshot/overlay.upperdir";
// The kernel's own limit (OVL_MAX_STACK).
constexpr size_t kMostLayers = 500;

// What an overlay is told beside its directories.
std::vector<std::string> WithDefaults(std::vector<std::string> options) {
  bool has_index = false;
  bool has_userxattr = false;
  for (const std::string& option : options) {
    has_index = has_index || absl::StartsWith(option, "index=");
    has_userxattr = has_userxattr || option == "userxattr";
  }
  // 4.13: first with index; where it is on by default, layers shared by two mounts would be
  // refused.
  if (!has_index && ::access("/sys/module/overlay/parameters/index", F_OK) == 0) {
    options.emplace_back("index=off");
  }
  if (!has_userxattr && InUserNamespace()) options.emplace_back("userxattr");
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OverlaySnapshotter>> OverlaySnapshotter::Open(
    const std::string& root, metadata::Store& store, const OverlayOptions& options) {
  GANTRY_RETURN_IF_ERROR(CheckKernelHasOverlay());
  GANTRY_RETURN_IF_ERROR(MakeDirectories(root, 0700));
  GANTRY_RETURN_IF_ERROR(ProbeOverlayOptions(root, options.mount_options));
  std::unique_ptr<OverlaySnapshotter> snapshotter(new OverlaySnapshotter(root, store, options));
  snapshotter->maps_ids_ = CanMapIds(root);
  GANTRY_RETURN_IF_ERROR(snapshotter->Restore());
  return snapshotter;
}

OverlaySnapshotter::OverlaySnapshotter(const std::string& root, metadata::Store& store,
                                       const OverlayOptions& options)
    : DirectorySnapshotter(kName, root,
                           options.sync_remove ? SnapshotDirectories::Removal::kAwaited
                                               : SnapshotDirectories::Removal::kInBackground,
                           store),
      options_{.mount_options = WithDefaults(options.mount_options),
               .upperdir_label = options.upperdir_label,
               .sync_remove = options.sync_remove,
               .slow_chown = options.slow_chown,
               .maps_in_mounts = options.maps_in_mounts} {}

std::vector<std::string> OverlaySnapshotter::Capabilities() const {
  std::vector<std::string> capabilities;
  if (maps_ids_) capabilities.emplace_back(kRemapsIds);
  if (!options_.slow_chown) capabilities.emplace_back(kOnlyRemapsIds);
  return capabilities;
}

absl::Status OverlaySnapshotter::Fill(const Placed& snapshot) {
  // "fs" last: after a power cut, what has it has all.
  if (snapshot.kind == Kind::kActive) {
    GANTRY_RETURN_IF_ERROR(MakeDirectory(snapshot.id, "work", 0711));
  }
  GANTRY_RETURN_IF_ERROR(MakeDirectory(snapshot.id, "fs", 0755));
  // The upper directory is the merged root's inode: it belongs to the container's root where ids
  // are mapped, else to whom the parent's belongs.
  GANTRY_ASSIGN_OR_RETURN(std::optional<Owner> owner, RootOwner(snapshot.labels));
  if (!owner.has_value() && snapshot.parents.empty()) return absl::OkStatus();
  if (!owner.has_value()) {
    const std::string parent = Directory(snapshot.parents.front(), "fs");
    struct stat st {};
    if (::stat(parent.c_str(), &st) != 0) {
      return WithCode(ErrnoError(errno, absl::StrCat("stat ", parent)),
                      absl::StatusCode::kDataLoss);
    }
    owner = Owner{st.st_uid, st.st_gid};
  }
  const std::string fs = Directory(snapshot.id, "fs");
  struct stat made {};
  if (::stat(fs.c_str(), &made) != 0) return ErrnoError(errno, absl::StrCat("stat ", fs));
  if (made.st_uid == owner->uid && made.st_gid == owner->gid) return absl::OkStatus();
  if (::lchown(fs.c_str(), owner->uid, owner->gid) != 0) {
    return ErrnoError(errno, absl::StrCat("change the owner of ", fs));
  }
  return absl::OkStatus();
}

// What a parent has, has the ids of the image; what a snapshot adds, those of the host. So one
// without a parent has nothing to map; nor has one on a parent whose root belongs to the
// container's already, as clients make it that do not ask for capabilities.
std::vector<std::string> OverlaySnapshotter::IdMapOf(const Placed& snapshot) const {
  if (!maps_ids_ || snapshot.parents.empty()) return {};
  const absl::StatusOr<std::optional<Owner>> owner = RootOwner(snapshot.labels);
  if (!owner.ok() || !owner->has_value()) return {};
  struct stat st {};
  if (::stat(Directory(snapshot.parents.front(), "fs").c_str(), &st) == 0 &&
      **owner == Owner{st.st_uid, st.st_gid}) {
    return {};
  }
  return IdMapOptions(snapshot.labels);
}

absl::StatusOr<std::vector<std::string>> OverlaySnapshotter::IdMapOf(const Scope& scope,
                                                                     const std::string& key) {
  GANTRY_ASSIGN_OR_RETURN(const Placed snapshot, Find(scope, key));
  return IdMapOf(snapshot);
}

absl::StatusOr<std::vector<Mount>> OverlaySnapshotter::MountsOf(const Placed& snapshot) const {
  const std::vector<uint64_t>& parents = snapshot.parents;
  const bool writable = snapshot.kind == Kind::kActive;
  std::vector<std::string> options;
  if (options_.maps_in_mounts) options = IdMapOf(snapshot);
  if (parents.empty() || (parents.size() == 1 && !writable)) {
    const std::string source = Directory(parents.empty() ? snapshot.id : parents[0], "fs");
    options.insert(options.end(), {writable ? "rw" : "ro", "rbind"});
    return std::vector<Mount>{Mount{"bind", source, "", std::move(options)}};
  }
  if (parents.size() > kMostLayers) {
    return absl::FailedPreconditionError(absl::StrCat("a snapshot of ", parents.size(),
                                                      " layers: overlayfs has at most ",
                                                      kMostLayers, ": failed precondition"));
  }
  options.insert(options.end(), options_.mount_options.begin(), options_.mount_options.end());
  if (writable) {
    options.push_back(absl::StrCat("workdir=", Directory(snapshot.id, "work")));
    options.push_back(absl::StrCat("upperdir=", Directory(snapshot.id, "fs")));
  }
  std::vector<std::string> lower;
  lower.reserve(parents.size());
  for (const uint64_t parent : parents) lower.push_back(Directory(parent, "fs"));
  options.push_back(absl::StrCat("lowerdir=", absl::StrJoin(lower, ":")));
  return std::vector<Mount>{Mount{"overlay", "overlay", "", std::move(options)}};
}

void OverlaySnapshotter::Describe(uint64_t id, Info* info) const {
  if (options_.upperdir_label) info->labels[kUpperLabel] = Directory(id, "fs");
}

}  // namespace gantry::snapshots
