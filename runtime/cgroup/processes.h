#ifndef GANTRY_RUNTIME_CGROUP_PROCESSES_H_
#define GANTRY_RUNTIME_CGROUP_PROCESSES_H_

#include <sys/types.h>

#include <functional>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "runtime/cgroup/directory.h"

namespace gantry::runtime {

// Adds the processes that are in a cgroup now.
using CollectPids = std::function<absl::Status(std::set<pid_t>*)>;

// Signals every process of a cgroup through a pidfd that was opened while the process was in it, so
// that a number which changed hands is never hit. SIGKILL goes round until no new process appears;
// `hold_still` (may be empty) is called once if they fork faster than that.
absl::Status SignalProcesses(const CollectPids& collect, int signal,
                             const std::function<void()>& hold_still);

// Waits until cgroup.events of a v2 cgroup says `key` `value` ("populated" 0, "frozen" 1), told by
// the kernel's notification. OK too once the cgroup is gone. Errors: Unavailable after `timeout`.
absl::Status WaitForEvent(const CgroupDir& dir, absl::string_view key, uint64_t value,
                          absl::Duration timeout);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_PROCESSES_H_
