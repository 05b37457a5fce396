#ifndef GANTRY_SERVICES_DIFF_DECOMPRESSOR_H_
#define GANTRY_SERVICES_DIFF_DECOMPRESSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::diff {

// Inflates a stream of bytes; memory is bounded whatever the stream says. Not thread-safe.
class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // The next bytes, empty at the end of the stream. They are good until the next call.
  // Errors: DataLoss for a stream that is broken or cut short.
  virtual absl::StatusOr<absl::string_view> Next() = 0;
};

// Reads `fd` from its start to `size_bytes` and inflates gzip (several members too), zstd (several
// frames too) or nothing, by the first bytes. `fd` stays the caller's and must outlive the object.
absl::StatusOr<std::unique_ptr<Decompressor>> MakeDecompressor(int fd, uint64_t size_bytes);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_DECOMPRESSOR_H_
