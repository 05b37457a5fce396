#ifndef GANTRY_SERVICES_SNAPSHOTS_DIRECTORY_SNAPSHOTTER_H_
#define GANTRY_SERVICES_SNAPSHOTS_DIRECTORY_SNAPSHOTTER_H_

#include <string>
#include <vector>

#include "services/metadata/store.h"
#include "services/snapshots/record_table.h"
#include "services/snapshots/snapshot_collectible.h"
#include "services/snapshots/snapshot_directories.h"
#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// What snapshotters have in common that keep a directory for each snapshot, its files below
// <root>/<id>/fs: records, keys and kinds, and the order of durable steps. Nothing is mounted here;
// clients get the mounts.
//
// A directory is made before its record and goes after it, and directories without a record are
// removed at the start, so that a crash leaves nothing half done in sight. A committed snapshot is
// on the disk, files and record; others have nothing on it that could not be made anew, and are
// told to be there before a power cut could no longer undo them. Source: containerd
// docs/snapshotters/README.md.
class DirectorySnapshotter : public Snapshotter {
 public:
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

 protected:
  // `name` is what clients call the snapshotter ("overlayfs"). `store` outlives this.
  DirectorySnapshotter(const std::string& name, const std::string& root,
                       SnapshotDirectories::Removal removal, metadata::Store& store);

  // Takes up the directories of an earlier life. Call before anything else.
  absl::Status Restore();

  // A snapshot as far as its directory and its mounts go.
  struct Placed {
    Kind kind = Kind::kUnknown;
    uint64_t id = 0;
    std::vector<uint64_t> parents;  // nearest first
    Labels labels;
  };
  // The active snapshot or view `key`. Errors: NotFound; FailedPrecondition if committed.
  absl::StatusOr<Placed> Find(const Scope& scope, const std::string& key);
  // Makes <root>/<id>/fs, and what else there is to be; <root>/<id> is there. May take long. What
  // it leaves when it fails is removed.
  virtual absl::Status Fill(const Placed& snapshot) = 0;
  [[nodiscard]] virtual absl::StatusOr<std::vector<Mount>> MountsOf(
      const Placed& snapshot) const = 0;
  // Adds labels that clients are told and that are not stored.
  virtual void Describe(uint64_t /*id*/, Info* /*info*/) const {}

  [[nodiscard]] std::string Directory(uint64_t id, absl::string_view part) const {
    return directories_.Path(id, part);
  }
  absl::Status MakeDirectory(uint64_t id, absl::string_view part, mode_t mode) {
    return directories_.Make(id, part, mode);
  }

 private:
  absl::StatusOr<std::vector<Mount>> Create(Kind kind, const Scope& scope, const std::string& key,
                                            const std::string& parent, const Labels& labels);
  // Drops records that a power cut has left without their directories.
  absl::Status Mend(const std::vector<std::pair<std::string, Record>>& gone);
  // Whether Create may go on: fills in the parents, and refuses what can be refused without a
  // write.
  absl::Status Look(const Scope& scope, const std::string& key, const std::string& parent,
                    Placed* placed, std::string* target);
  absl::Status WriteRecord(const Scope& scope, const std::string& key, const std::string& parent,
                           const Placed& placed);
  // AlreadyExists, which tells a client that the snapshot it was about to make is there; its lease
  // holds it then. Errors: Unavailable if it has just been removed.
  absl::Status HoldTarget(const Scope& scope, const std::string& target);

  const RecordTable records_;
  metadata::Store& store_;
  SnapshotDirectories directories_;
  SnapshotCollectible collectible_;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_DIRECTORY_SNAPSHOTTER_H_
