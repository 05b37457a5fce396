#include "services/snapshots/snapshot_collectible.h"

#include "base/errors.h"
#include "services/snapshots/snapshot_record.h"

namespace gantry::snapshots {

absl::StatusOr<gc::Links> SnapshotCollectible::LinksOf(const metadata::Reader&,
                                                       const gc::Node& node,
                                                       absl::string_view bytes,
                                                       absl::Time now) const {
  GANTRY_ASSIGN_OR_RETURN(const Record record, Decode(node.name, bytes));
  gc::Links links;
  gc::AddLabelLinks(node.ns, record.info.labels, now, &links);
  if (!record.info.parent.empty()) {
    links.held.push_back({.bucket = bucket_, .ns = node.ns, .name = record.info.parent});
  }
  return links;
}

absl::StatusOr<bool> SnapshotCollectible::Remove(metadata::Writer& writer, const gc::Node& node) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                          writer.Get(bucket_, node.ns, node.name));
  if (!bytes.has_value()) return false;
  GANTRY_ASSIGN_OR_RETURN(const Record record, Decode(node.name, *bytes));
  if (record.children != 0) return false;
  GANTRY_RETURN_IF_ERROR(RemoveRecord(writer, bucket_, node.ns, record));
  removed_.push_back(record.id);
  return true;
}

void SnapshotCollectible::Settle(bool committed) {
  if (committed) {
    for (const uint64_t id : removed_) discard_(id);
  }
  removed_.clear();
}

}  // namespace gantry::snapshots
