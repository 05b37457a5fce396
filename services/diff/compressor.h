#ifndef GANTRY_SERVICES_DIFF_COMPRESSOR_H_
#define GANTRY_SERVICES_DIFF_COMPRESSOR_H_

#include <memory>

#include "absl/status/statusor.h"
#include "services/diff/byte_sink.h"

namespace gantry::diff {

enum class Compression { kNone, kGzip, kZstd };

// Compresses a stream into a sink. The same bytes give the same output with the same library and
// kind of processor, however they are cut. Not thread-safe.
class Compressor {
 public:
  virtual ~Compressor() = default;
  // Errors: those of the sink.
  virtual absl::Status Write(absl::string_view bytes) = 0;
  // Ends the stream; call once, last.
  virtual absl::Status Finish() = 0;
};

// `sink` is called from within Write and Finish.
absl::StatusOr<std::unique_ptr<Compressor>> MakeCompressor(Compression compression, ByteSink sink);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_COMPRESSOR_H_
