#ifndef GANTRY_SERVICES_DIFF_DECOMPRESSOR_H_
#define GANTRY_SERVICES_DIFF_DECOMPRESSOR_H_

#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"

namespace gantry::diff {

// Inflates a stream of bytes; memory is bounded whatever the stream says. Not thread-safe.
class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // The next bytes, straight into `out`, which they fill but at the end; 0 there.
  // Errors: DataLoss for a stream that is broken or cut short.
  virtual absl::StatusOr<size_t> Read(std::span<char> out) = 0;
};

// Reads `fd` from its start to `size_bytes` and inflates gzip (several members too), zstd (several
// frames too) or nothing, by the first bytes. `fd` stays the caller's and must outlive the object.
absl::StatusOr<std::unique_ptr<Decompressor>> MakeDecompressor(int fd, uint64_t size_bytes);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_DECOMPRESSOR_H_
