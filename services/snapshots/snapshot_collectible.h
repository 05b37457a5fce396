#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_COLLECTIBLE_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_COLLECTIBLE_H_

#include <functional>
#include <string>
#include <vector>

#include "services/gc/gc.h"

namespace gantry::snapshots {

// The snapshots of one snapshotter in a collection: one holds its parent, and only those without
// children are removed. For every snapshotter whose records are those of snapshot_record.h.
class SnapshotCollectible final : public gc::Collectible {
 public:
  // `discard` removes the directory of a snapshot whose record is gone.
  SnapshotCollectible(const std::string& snapshotter, std::function<void(uint64_t id)> discard)
      : bucket_(gc::kSnapshotBuckets + snapshotter), discard_(std::move(discard)) {}

  [[nodiscard]] std::string bucket() const override { return bucket_; }
  [[nodiscard]] absl::StatusOr<gc::Links> LinksOf(const metadata::Reader& reader,
                                                  const gc::Node& node, absl::string_view bytes,
                                                  absl::Time now) const override;
  absl::StatusOr<bool> Remove(metadata::Writer& writer, const gc::Node& node) override;
  void Settle(bool committed) override;

 private:
  const std::string bucket_;
  const std::function<void(uint64_t id)> discard_;
  std::vector<uint64_t> removed_;  // in the transaction under way
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_COLLECTIBLE_H_
