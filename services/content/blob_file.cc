#include "services/content/blob_file.h"

#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/errors.h"

namespace gantry::content {
namespace {

constexpr size_t kReadBytes = 1 << 20;

int64_t Nanos(const struct timespec& time) {
  return absl::ToUnixNanos(absl::TimeFromTimespec(time));
}

}  // namespace

FileStamp FileStamp::Of(const struct stat& st) {
  return {.inode = st.st_ino, .modified_ns = Nanos(st.st_mtim), .changed_ns = Nanos(st.st_ctim)};
}

absl::StatusOr<Digest> DigestOfFile(int fd, const Digest& named) {
  GANTRY_ASSIGN_OR_RETURN(Digester digester, Digester::Create(named.algorithm()));
  std::string buffer(kReadBytes, '\0');
  for (off_t offset = 0;;) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, absl::StrCat("read content ", named.text()));
    if (got == 0) return digester.Finish();
    digester.Update(absl::string_view(buffer.data(), static_cast<size_t>(got)));
    offset += got;
  }
}

}  // namespace gantry::content
