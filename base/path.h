#ifndef GANTRY_BASE_PATH_H_
#define GANTRY_BASE_PATH_H_

#include <linux/openat2.h>
#include <sys/types.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace gantry {

// Opens `path` as if `root` were "/" (openat2(2), RESOLVE_IN_ROOT): "..", absolute names and
// symbolic links cannot lead out. `flags` gets O_CLOEXEC; magic links are refused. Needs Linux 5.6.
// Errors: InvalidArgument (ELOOP, EXDEV) for a path that would leave; NotFound; see ErrnoError.
absl::StatusOr<UniqueFd> OpenInRoot(int root, const std::string& path, int flags, mode_t mode = 0);

// The same with RESOLVE_BENEATH: a path that would leave `root` is an error rather than contained.
absl::StatusOr<UniqueFd> OpenBeneath(int root, const std::string& path, int flags, mode_t mode = 0);

// Creates the missing directories of `path` in `root`, links resolved in it, and gives an O_PATH
// descriptor of the last.
absl::StatusOr<UniqueFd> MakeDirectoriesInRoot(int root, const std::string& path, mode_t mode);

// "/proc/self/fd/N", for system calls that take only a path.
std::string FdPath(int fd);

// `path` without ".", "..", double or trailing slashes, resolved by text alone. "/" stays "/".
std::string CleanPath(absl::string_view path);
std::string JoinPath(absl::string_view a, absl::string_view b);

}  // namespace gantry

#endif  // GANTRY_BASE_PATH_H_
