#ifndef GANTRY_SERVICES_SNAPSHOTS_OVERLAY_SNAPSHOTTER_H_
#define GANTRY_SERVICES_SNAPSHOTS_OVERLAY_SNAPSHOTTER_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "services/metadata/store.h"
#include "services/snapshots/snapshot_collectible.h"
#include "services/snapshots/snapshot_record.h"
#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// Snapshots as overlayfs layers: <root>/<id>/fs holds what a snapshot adds to its parents,
// <root>/<id>/work is the kernel's. Nothing is mounted here; clients get the mounts.
//
// Order of durable steps, so that a crash leaves nothing half done in sight: a directory is made
// before its record and goes after it, and directories without a record are removed at Open.
// Source: Linux Documentation/filesystems/overlayfs.rst; containerd docs/snapshotters/overlayfs.md.
class OverlaySnapshotter : public Snapshotter {
 public:
  // `root` is made if missing; one snapshotter per root (the daemon's lock sees to that). `store`
  // outlives this. Errors: FailedPrecondition if the kernel has no overlayfs.
  static absl::StatusOr<std::unique_ptr<OverlaySnapshotter>> Open(const std::string& root,
                                                                  metadata::Store& store);

  absl::StatusOr<std::vector<Mount>> Prepare(const Scope& scope, const std::string& key,
                                             const std::string& parent,
                                             const Labels& labels) override;
  absl::StatusOr<std::vector<Mount>> View(const Scope& scope, const std::string& key,
                                          const std::string& parent, const Labels& labels) override;
  absl::StatusOr<std::vector<Mount>> Mounts(const Scope& scope, const std::string& key) override;
  absl::Status Commit(const Scope& scope, const std::string& name, const std::string& key,
                      const Labels& labels) override;
  absl::Status Remove(const Scope& scope, const std::string& key) override;
  absl::StatusOr<Info> Stat(const Scope& scope, const std::string& key) override;
  absl::StatusOr<Info> Update(const Scope& scope, const Info& info,
                              const std::vector<std::string>& paths) override;
  absl::StatusOr<std::vector<Info>> List(const Scope& scope,
                                         const std::vector<std::string>& filters) override;
  absl::StatusOr<Usage> GetUsage(const Scope& scope, const std::string& key) override;
  absl::Status Cleanup() override;

  // What a collection asks and removes; lives as long as this.
  [[nodiscard]] gc::Collectible& collectible() { return collectible_; }

 private:
  OverlaySnapshotter(std::string root, metadata::Store& store, bool index_off)
      : root_(std::move(root)),
        store_(store),
        index_off_(index_off),
        collectible_("overlayfs", [this](uint64_t id) { Discard(id); }) {}

  absl::StatusOr<std::vector<Mount>> Create(Kind kind, const Scope& scope, const std::string& key,
                                            const std::string& parent, const Labels& labels);
  // AlreadyExists, which tells a client that the snapshot it was about to make is there; its lease
  // holds it then. Errors: Unavailable if it has just been removed.
  absl::Status HoldTarget(const Scope& scope, const std::string& target);
  absl::Status MakeDirectory(uint64_t id, Kind kind, uint64_t parent_id);
  // Ids of the snapshot's ancestors, nearest first.
  absl::StatusOr<std::vector<uint64_t>> ParentIds(const metadata::Reader& reader,
                                                  const Scope& scope, std::string parent) const;
  std::vector<Mount> MountsOf(Kind kind, uint64_t id, const std::vector<uint64_t>& parents) const;
  std::string Directory(uint64_t id, absl::string_view part = "") const;
  // Renames the directory away at once and unlinks what is in it in the background.
  void Discard(uint64_t id);
  absl::Status RemoveOrphans();

  const std::string root_;
  metadata::Store& store_;
  const bool index_off_;  // the kernel has the option, and a lower layer may be shared
  std::atomic<uint64_t> next_id_{1};
  Executor cleaner_{1};
  SnapshotCollectible collectible_;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_OVERLAY_SNAPSHOTTER_H_
