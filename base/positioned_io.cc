#include "base/positioned_io.h"

#include <unistd.h>

#include <cerrno>

#include "base/errors.h"

namespace gantry {

absl::StatusOr<size_t> ReadAt(int fd, char* buffer, size_t size, int64_t offset,
                              absl::string_view what) {
  size_t done = 0;
  while (done < size) {
    const ssize_t got =
        ::pread(fd, buffer + done, size - done, offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, what);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

absl::Status WriteAt(int fd, int64_t offset, absl::string_view bytes, absl::string_view what) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), offset);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoError(errno, what);
    bytes.remove_prefix(static_cast<size_t>(put));
    offset += put;
  }
  return absl::OkStatus();
}

}  // namespace gantry
