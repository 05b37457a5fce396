#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_CHECK_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_CHECK_H_

#include <string>

#include "absl/status/statusor.h"
#include "services/check/check.h"
#include "services/metadata/store.h"

namespace gantry::snapshots {

// Holds the records of the snapshotter `name` against the directories below `root`, which nobody
// has open. Gives the number of snapshots.
//
// Mended: counts of children; directories that no record names, which are removed; a snapshot that
// cannot be used, since its directory or a parent is gone, goes with those made from it, so that
// the image is unpacked again, unless an active one is among them: what a container wrote into that
// may be all there is of it.
absl::StatusOr<size_t> CheckSnapshots(const std::string& root, const std::string& name,
                                      metadata::Store& store, const check::Options& options,
                                      const check::Report& report);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_CHECK_H_
