#ifndef GANTRY_SERVICES_DIFF_LAYER_COMPARER_H_
#define GANTRY_SERVICES_DIFF_LAYER_COMPARER_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "services/diff/byte_sink.h"
#include "services/diff/compressor.h"
#include "services/diff/diff_applier.h"
#include "services/diff/mounted_tree.h"

namespace gantry::diff {

struct CompareOptions {
  Compression compression = Compression::kGzip;
  // No time in the layer is later than this (seconds since 1970).
  std::optional<int64_t> latest_time;
};

// Writes to `sink` the layer that makes the tree of `right` out of that of `left` (no mount: an
// empty tree), and tells digest and size of what it is uncompressed. The same trees give the same
// bytes. A directory on the way to a change is in the layer with it; sockets, which a tar cannot
// hold, are left out; files with several names are hard links; holes of a mebibyte or more stay
// holes (GNU's PAX 1.0). Only what an overlay's upper directory holds is looked at where `right` is
// one upon `left`. Compresses on a thread of its own; blocks; memory is bounded but for names of
// files with several links. Errors: Unavailable for a file that shrinks while it is read;
// InvalidArgument for mounts; those of `sink`.
absl::StatusOr<Applied> CompareTrees(const std::vector<Mount>& left,
                                     const std::vector<Mount>& right, const CompareOptions& options,
                                     const ByteSink& sink);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_LAYER_COMPARER_H_
