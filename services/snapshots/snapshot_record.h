#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_RECORD_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_RECORD_H_

#include <string>

#include "services/metadata/store.h"
#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// What the directory of a removed snapshot is renamed to, with an ending of its own, until it is
// gone.
inline constexpr char kDiscardPrefix[] = "removing-";

// What the metadata store holds of a snapshot, under its namespace and name.
struct Record {
  Info info;
  uint64_t id = 0;        // directory below the snapshotter's root
  uint64_t children = 0;  // snapshots whose parent this is
  Usage usage;            // of a committed snapshot
};

std::string Encode(const Record& record);
// Errors: DataLoss that names the snapshot.
absl::StatusOr<Record> Decode(absl::string_view name, absl::string_view bytes);

// Deletes the record of a snapshot without children, and tells its parent's.
absl::Status RemoveRecord(metadata::Writer& writer, absl::string_view bucket, absl::string_view ns,
                          const Record& record);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_RECORD_H_
