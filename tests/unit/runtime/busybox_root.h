#ifndef GANTRY_TESTS_UNIT_RUNTIME_BUSYBOX_ROOT_H_
#define GANTRY_TESTS_UNIT_RUNTIME_BUSYBOX_ROOT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/temp_dir.h"
#include "runtime/container.h"

namespace gantry::runtime {

// A bundle in a temporary directory whose root file system is busybox (static) with its applets.
class BusyboxBundle {
 public:
  static absl::StatusOr<BusyboxBundle> Create();
  [[nodiscard]] const std::string& path() const { return dir_.path(); }
  [[nodiscard]] std::string root() const { return dir_.path() + "/rootfs"; }
  // A spec as containerd writes it by default, which runs `args`.
  [[nodiscard]] Spec DefaultSpec(std::vector<std::string> args) const;

 private:
  explicit BusyboxBundle(TempDir dir) : dir_(std::move(dir)) {}
  TempDir dir_;
};

// What a container left behind when it had ended.
struct RunResult {
  std::string output;  // standard output and standard error together
  int exit_code = -1;  // 128 and the signal if one ended it
};

// Options for a container of this bundle under a name of its own.
CreateOptions OptionsFor(const BusyboxBundle& bundle, Spec spec);
// Creates, starts, reads everything, reaps, destroys.
absl::StatusOr<RunResult> RunContainer(CreateOptions options);
// The same for a process in a container that runs.
absl::StatusOr<RunResult> ExecIn(Container& container, const Process& process);
// Waits for the child of this pidfd and reaps it.
int ExitCodeOf(int pidfd);
std::string ReadAll(int fd);

}  // namespace gantry::runtime

#endif  // GANTRY_TESTS_UNIT_RUNTIME_BUSYBOX_ROOT_H_
