#ifndef GANTRY_DAEMON_ROOT_LOCK_H_
#define GANTRY_DAEMON_ROOT_LOCK_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::daemon {

// One gantryd per root: an flock(2) on `<root>/gantryd.lock`, which also holds the owner's pid for
// people and for the message below. The kernel drops it when the process ends, however it ends.
class RootLock {
 public:
  // Makes `root` (0711, so that processes in user namespaces can reach their layers).
  // Errors: FailedPrecondition naming the pid that holds it.
  static absl::StatusOr<RootLock> Take(const std::string& root);

 private:
  explicit RootLock(UniqueFd file) : file_(std::move(file)) {}
  UniqueFd file_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_ROOT_LOCK_H_
