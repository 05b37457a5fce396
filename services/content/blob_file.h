#ifndef GANTRY_SERVICES_CONTENT_BLOB_FILE_H_
#define GANTRY_SERVICES_CONTENT_BLOB_FILE_H_

#include <sys/stat.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "base/digest.h"

namespace gantry::content {

// What the file system tells of a file and cannot leave as it was when somebody writes to it. The
// record of a blob keeps that of its file, so that a blob that was changed on disk is known without
// reading it. The time of the last change cannot be set by anybody; that of the last write is kept
// too, because the commit sets it to the nanosecond and a write to the kernel's tick.
//
// Says nothing of a disk that gives back other bytes than were written: for that there is a check.
struct FileStamp {
  uint64_t inode = 0;
  int64_t modified_ns = 0;
  int64_t changed_ns = 0;

  static FileStamp Of(const struct stat& st);
  bool operator==(const FileStamp&) const = default;
};

// The digest, by the algorithm of `named`, of all that `fd` has, wherever it stands. Blocks for as
// long as reading it takes.
absl::StatusOr<Digest> DigestOfFile(int fd, const Digest& named);

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_BLOB_FILE_H_
