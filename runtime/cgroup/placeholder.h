#ifndef GANTRY_RUNTIME_CGROUP_PLACEHOLDER_H_
#define GANTRY_RUNTIME_CGROUP_PLACEHOLDER_H_

#include <sys/types.h>

#include <memory>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::runtime {

// A child of this process that does nothing but be there: systemd makes no scope without a process
// in it, and a container's init is born in the scope. It ends, and is reaped, when this goes; its
// end raises no SIGCHLD, and only who waits for it by name reaps it. The calling process has one
// thread.
class Placeholder {
 public:
  static absl::StatusOr<std::unique_ptr<Placeholder>> Start();
  ~Placeholder();
  Placeholder(const Placeholder&) = delete;
  Placeholder& operator=(const Placeholder&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  Placeholder() = default;
  pid_t pid_ = -1;
  UniqueFd gate_;  // the child waits for its end
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_PLACEHOLDER_H_
