#include "daemon/root_lock.h"

#include <fcntl.h>
#include <sys/file.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"

namespace gantry::daemon {

absl::StatusOr<RootLock> RootLock::Take(const std::string& root) {
  GANTRY_RETURN_IF_ERROR(MakeDirectories(root, 0711));
  const std::string path = absl::StrCat(root, "/gantryd.lock");
  GANTRY_ASSIGN_OR_RETURN(UniqueFd file, OpenFile(path, O_RDWR | O_CREAT, 0600));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    if (error != EWOULDBLOCK) return ErrnoError(error, absl::StrCat("lock ", path));
    const std::string pid = ReadFile(path, 64).value_or("");
    return absl::FailedPreconditionError(
        absl::StrCat("root ", root, " is in use by another gantryd (pid ",
                     pid.empty() ? "unknown" : absl::StripSuffix(pid, "\n"),
                     "); stop it or choose another --root"));
  }
  if (::ftruncate(file.get(), 0) != 0) return ErrnoError(errno, absl::StrCat("truncate ", path));
  GANTRY_RETURN_IF_ERROR(WriteAll(file.get(), absl::StrCat(::getpid(), "\n"), path));
  return RootLock(std::move(file));
}

}  // namespace gantry::daemon
