#ifndef GANTRY_SERVICES_DIFF_DIFF_APPLIER_H_
#define GANTRY_SERVICES_DIFF_DIFF_APPLIER_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "services/diff/layer_limits.h"
#include "services/diff/layer_stream.h"
#include "services/diff/mounted_tree.h"

namespace gantry::diff {

// Unpacks the layer in `fd` (tar, plain or compressed with gzip or zstd; `size_bytes` long) into
// the tree that `mounts` show. Blocks; memory is bounded whatever the layer says. Errors: DataLoss
// for a broken stream, InvalidArgument for an entry that cannot be (each names the entry),
// ResourceExhausted for a full disk or a layer past `limits`. What had been unpacked by then stays:
// the snapshot is the client's to remove.
absl::StatusOr<Applied> ApplyLayer(int fd, uint64_t size_bytes, const std::vector<Mount>& mounts,
                                   const LayerLimits& limits = {});

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_DIFF_APPLIER_H_
