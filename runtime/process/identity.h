#ifndef GANTRY_RUNTIME_PROCESS_IDENTITY_H_
#define GANTRY_RUNTIME_PROCESS_IDENTITY_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"

namespace gantry::runtime {

// Names one process for as long as the machine's records last. A pid alone is given again once its
// process is gone; a pid with its start time is not, within one boot.
struct ProcessIdentity {
  pid_t pid = -1;
  uint64_t start_time = 0;  // clock ticks since boot (/proc/PID/stat, field 22)
  std::string boot_id;      // /proc/sys/kernel/random/boot_id

  bool operator==(const ProcessIdentity&) const = default;
};

// Errors: NotFound if there is no such process.
absl::StatusOr<ProcessIdentity> IdentifyProcess(pid_t pid);

// A pidfd of exactly that process. Errors: NotFound if it is gone, even if another has its pid now.
absl::StatusOr<UniqueFd> OpenProcess(const ProcessIdentity& identity);

// Whether the process has ended: it is gone, or waits to be reaped.
bool HasEnded(const UniqueFd& pidfd);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_IDENTITY_H_
