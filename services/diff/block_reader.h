#ifndef GANTRY_SERVICES_DIFF_BLOCK_READER_H_
#define GANTRY_SERVICES_DIFF_BLOCK_READER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/diff/byte_source.h"

namespace gantry::diff {

// Takes a stream apart into pieces of the sizes that a tar's headers tell.
class BlockReader {
 public:
  // `source` outlives this.
  explicit BlockReader(ByteSource& source) : source_(source) {}

  // `size` bytes to `out`. False, and nothing taken, at the stream's end. Errors: DataLoss if the
  // stream ends in the middle; those of the source.
  absl::StatusOr<bool> Read(char* out, size_t size);
  // The same appended to `out`; the end of the stream is DataLoss too.
  absl::Status Append(int64_t size, std::string* out);
  // At least one byte and at most `most`, without a copy; good until the next call. Errors: as
  // Read; the end of the stream is DataLoss too.
  absl::StatusOr<absl::string_view> Some(int64_t most);
  // Passes over `size` bytes. `end_is_fine`: a stream that ends before is no error.
  absl::Status Skip(int64_t size, bool end_is_fine = false);

 private:
  // Whether there is a byte left.
  absl::StatusOr<bool> Fill();

  ByteSource& source_;
  absl::string_view rest_;
};

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_BLOCK_READER_H_
