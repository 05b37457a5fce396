#ifndef GANTRY_SERVICES_TASKS_BUNDLE_H_
#define GANTRY_SERVICES_TASKS_BUNDLE_H_

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/tasks/shim.h"

namespace gantry::tasks {

// The files of tasks in the daemon's state directory:
//   tasks/<namespace>/<id>/config.json     the container's spec, 0600
//   tasks/<namespace>/<id>/rootfs/         where the shim mounts
//   tasks/<namespace>/<id>/bootstrap.json  the shim's address and identity
//   tasks/<namespace>/<id>/init.pid        of the container's first process, by the shim
//   tasks/<namespace>/<id>/execs/<exec>    an empty file for each exec
//   s/<hash>                               the shim's socket, a name that fits sun_path
//   gone/<random>                          a bundle that was discarded, until it is removed
// All calls block; thread-safe for different tasks. Namespaces and ids must have been validated:
// they become names of directories.
class Bundles {
 public:
  explicit Bundles(std::string state_dir) : state_dir_(std::move(state_dir)) {}

  [[nodiscard]] std::string Path(absl::string_view ns, absl::string_view id) const;
  // The same for the same task at all times, so that a socket that a crash left is found again.
  [[nodiscard]] std::string SocketPath(absl::string_view ns, absl::string_view id) const;

  // Makes the directory and gives its path. What a crash left there is removed first.
  [[nodiscard]] absl::StatusOr<std::string> Create(absl::string_view ns, absl::string_view id,
                                                   absl::string_view config) const;
  // Absent is OK.
  absl::Status Remove(absl::string_view ns, absl::string_view id) const;
  // Takes the bundle away in one step, for the next of its name to be made, and gives the path that
  // RemoveTree is to be called with when there is time. "" if there is no such bundle.
  [[nodiscard]] absl::StatusOr<std::string> Discard(absl::string_view ns,
                                                    absl::string_view id) const;
  // What Discard took away before a crash.
  [[nodiscard]] std::vector<std::string> ListDiscarded() const;
  // Namespace and id of each bundle, whole or not.
  [[nodiscard]] absl::StatusOr<std::vector<std::pair<std::string, std::string>>> List() const;

 private:
  const std::string state_dir_;
};

// `bundle` is a path that Create gave.
absl::Status WriteAddress(const std::string& bundle, const ShimAddress& address);
// Errors: NotFound if it was never written; DataLoss if it makes no sense.
absl::StatusOr<ShimAddress> ReadAddress(const std::string& bundle);

// What the shim wrote when it made the container; 0 if it did not.
uint32_t ReadInitPid(const std::string& bundle);

absl::Status AddExecRecord(const std::string& bundle, const std::string& exec_id);
void RemoveExecRecord(const std::string& bundle, const std::string& exec_id);
std::vector<std::string> ListExecRecords(const std::string& bundle);

// linux.cgroupsPath of a spec's JSON, empty if it has none. Errors: InvalidArgument if `config` is
// not JSON of an object.
absl::StatusOr<std::string> CgroupsPathOf(absl::string_view config);

// When the process was started, in clock ticks since boot (proc(5), stat field 22): with the boot
// id it tells a process from a later one of the same number. Errors: NotFound.
absl::StatusOr<uint64_t> StartTimeOf(pid_t pid);
absl::StatusOr<std::string> BootId();

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_BUNDLE_H_
