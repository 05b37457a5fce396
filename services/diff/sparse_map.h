#ifndef GANTRY_SERVICES_DIFF_SPARSE_MAP_H_
#define GANTRY_SERVICES_DIFF_SPARSE_MAP_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/diff/block_reader.h"
#include "services/diff/tar_format.h"

namespace gantry::diff {

// The most pieces that a sparse file may be made of: 4 MiB of them.
inline constexpr size_t kMostExtents = size_t{1} << 18;

// Readers of the maps in which GNU tar tells where the pieces of a sparse file go. Errors of all:
// InvalidArgument that says what is wrong. Source: GNU tar manual, "Storing Sparse Files".

// Format 0.1: "OFFSET,SIZE,OFFSET,SIZE...".
absl::StatusOr<std::vector<Extent>> ParseSparseMapText(absl::string_view text);

// Format 1.0: the map stands before the data, in whole blocks, which come off `size`.
absl::StatusOr<std::vector<Extent>> ReadSparseMap(BlockReader& blocks, int64_t* size);

// GNU's old format: four pieces in the header block, 21 in each block behind it (not part of the
// entry's size). `real_size` gets the file's size.
absl::StatusOr<std::vector<Extent>> ReadOldSparseMap(absl::string_view header, BlockReader& blocks,
                                                     int64_t* real_size);

// Whether the pieces come in order, do not meet, end within `real_size` and take the `data` bytes
// that are stored of them.
absl::Status CheckSparseMap(const std::vector<Extent>& map, int64_t data, int64_t real_size);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_SPARSE_MAP_H_
