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
               .sync_remove = options.sync_remove} {}

absl::Status OverlaySnapshotter::Fill(const Placed& snapshot) {
  GANTRY_RETURN_IF_ERROR(MakeDirectory(snapshot.id, "fs", 0755));
  if (snapshot.kind == Kind::kActive) {
    GANTRY_RETURN_IF_ERROR(MakeDirectory(snapshot.id, "work", 0711));
  }
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
  if (::lchown(fs.c_str(), owner->uid, owner->gid) != 0) {
    return ErrnoError(errno, absl::StrCat("change the owner of ", fs));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Mount>> OverlaySnapshotter::MountsOf(const Placed& snapshot) const {
  const std::vector<uint64_t>& parents = snapshot.parents;
  const bool writable = snapshot.kind == Kind::kActive;
  if (parents.empty() || (parents.size() == 1 && !writable)) {
    const std::string source = Directory(parents.empty() ? snapshot.id : parents[0], "fs");
    return std::vector<Mount>{Mount{"bind", source, "", {writable ? "rw" : "ro", "rbind"}}};
  }
  if (parents.size() > kMostLayers) {
    return absl::FailedPreconditionError(absl::StrCat("a snapshot of ", parents.size(),
                                                      " layers: overlayfs has at most ",
                                                      kMostLayers, ": failed precondition"));
  }
  std::vector<std::string> options = options_.mount_options;
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
