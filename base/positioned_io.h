#ifndef GANTRY_BASE_POSITIONED_IO_H_
#define GANTRY_BASE_POSITIONED_IO_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry {

// pread(2) and pwrite(2) of all that is asked for, through EINTR and short counts. `what` begins
// the message of an error, which is errno's.

// How much there was: fewer than `size` bytes only where the file ends.
absl::StatusOr<size_t> ReadAt(int fd, char* buffer, size_t size, int64_t offset,
                              absl::string_view what);
absl::Status WriteAt(int fd, int64_t offset, absl::string_view bytes, absl::string_view what);

}  // namespace gantry

#endif  // GANTRY_BASE_POSITIONED_IO_H_
