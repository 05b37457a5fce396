#ifndef GANTRY_BASE_FILE_H_
#define GANTRY_BASE_FILE_H_

#include <sys/types.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace gantry {

// Small, whole-file helpers. All retry EINTR, open with O_CLOEXEC and name the path in their
// errors.

// open(2)/openat(2) with O_CLOEXEC added. `dirfd` may be AT_FDCWD.
absl::StatusOr<UniqueFd> OpenFile(const std::string& path, int flags, mode_t mode = 0);
absl::StatusOr<UniqueFd> OpenFileAt(int dirfd, const std::string& path, int flags, mode_t mode = 0);

// The whole of `path`. Errors: NotFound; ResourceExhausted if it is longer than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes = 16 << 20);
absl::StatusOr<std::string> ReadFd(int fd, size_t max_bytes, absl::string_view what);

// Writes all of `bytes` at the descriptor's position.
absl::Status WriteAll(int fd, absl::string_view bytes, absl::string_view what);

// Writes into a file that exists already (cgroup and procfs files), in one write(2).
absl::Status WriteExisting(const std::string& path, absl::string_view bytes);

// Replaces `path` in one step: temporary file beside it, fsync, rename, fsync of the directory.
// kNotDurable leaves the two syncs away (files of the state directory, which a reboot empties).
enum class Durability { kDurable, kNotDurable };
absl::Status WriteFileAtomic(const std::string& path, absl::string_view bytes, mode_t mode,
                             Durability durability);

absl::Status SyncDirectory(const std::string& path);

// mkdir -p with `mode` for each directory that is made.
absl::Status MakeDirectories(const std::string& path, mode_t mode = 0755);

// Removes the tree at `path` without following links and without leaving its file system (a mount
// below makes it fail with FailedPrecondition and loses nothing on the other side). Absent is OK.
absl::Status RemoveTree(const std::string& path);
absl::Status RemoveTreeAt(int dirfd, const std::string& name);

// Names in a directory but "." and "..", sorted.
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);

}  // namespace gantry

#endif  // GANTRY_BASE_FILE_H_
