#ifndef GANTRY_SERVICES_DIFF_TAR_WRITER_H_
#define GANTRY_SERVICES_DIFF_TAR_WRITER_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "services/diff/byte_sink.h"
#include "services/diff/entry.h"
#include "services/diff/tar_format.h"

namespace gantry::diff {

// Writes a tar (pax interchange format) in which equal entries give equal bytes: no name of a user,
// no access time, PAX records only where ustar has no room, ordered. Memory is bounded but for
// `extents`. Not thread-safe. Source: POSIX.1-2017 pax; GNU tar manual, "Storing Sparse Files" (PAX
// 1.0); SCHILY.xattr of star(5).
class TarWriter {
 public:
  explicit TarWriter(ByteSink sink) : sink_(std::move(sink)) {}

  // The header of `entry`, whose name (no leading slash) and link go in as they are. `size` bytes
  // of Data must follow (regular files that are no hard links; else 0).
  absl::Status Header(const Entry& entry, int64_t size);
  // The header of a regular file of `size` bytes that holds `extents` and holes; the Data of all
  // extents must follow.
  absl::Status SparseHeader(const Entry& entry, int64_t size, const std::vector<Extent>& extents);
  absl::Status Data(absl::string_view bytes);
  // Ends an entry's data: fills its last block.
  absl::Status EndData();
  // Two blocks of zeros: the end of the archive.
  absl::Status Finish();

 private:
  absl::Status Write(const Entry& entry, const std::string& name, int64_t size,
                     std::vector<std::pair<std::string, std::string>> records);
  absl::Status Pad();

  const ByteSink sink_;
  uint64_t written_ = 0;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_TAR_WRITER_H_
