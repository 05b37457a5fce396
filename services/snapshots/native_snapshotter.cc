#include "services/snapshots/native_snapshotter.h"

#include "base/errors.h"
#include "services/snapshots/tree_copy.h"

namespace gantry::snapshots {

absl::StatusOr<std::unique_ptr<NativeSnapshotter>> NativeSnapshotter::Open(const std::string& root,
                                                                           metadata::Store& store) {
  std::unique_ptr<NativeSnapshotter> snapshotter(new NativeSnapshotter(root, store));
  GANTRY_RETURN_IF_ERROR(snapshotter->Restore());
  return snapshotter;
}

NativeSnapshotter::NativeSnapshotter(const std::string& root, metadata::Store& store)
    : DirectorySnapshotter("native", root, SnapshotDirectories::Removal::kInBackground, store) {}

absl::Status NativeSnapshotter::Fill(const Placed& snapshot) {
  GANTRY_RETURN_IF_ERROR(MakeDirectory(snapshot.id, "fs", 0755));
  if (snapshot.kind == Kind::kView || snapshot.parents.empty()) return absl::OkStatus();
  return Annotate(CopyTree(Directory(snapshot.parents.front(), "fs"), Directory(snapshot.id, "fs")),
                  "copy the parent snapshot");
}

absl::StatusOr<std::vector<Mount>> NativeSnapshotter::MountsOf(const Placed& snapshot) const {
  const bool view = snapshot.kind == Kind::kView;
  const uint64_t id = view && !snapshot.parents.empty() ? snapshot.parents.front() : snapshot.id;
  return std::vector<Mount>{Mount{"bind", Directory(id, "fs"), "", {view ? "ro" : "rw", "rbind"}}};
}

}  // namespace gantry::snapshots
