#ifndef GANTRY_CLI_LOADED_CONTAINER_H_
#define GANTRY_CLI_LOADED_CONTAINER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "cli/command.h"
#include "cli/state_store.h"
#include "runtime/container.h"

namespace gantry::cli {

// The states of the specification and runc's "paused". Source: runtime-spec, runtime.md, "State".
enum class ContainerStatus { kCreating, kCreated, kRunning, kPaused, kStopped };
const char* StatusName(ContainerStatus status);

// A container that another command made, as it is now.
struct LoadedContainer {
  ContainerDir dir;
  ContainerRecord record;
  runtime::Process process;  // of its config, for exec
  std::unique_ptr<runtime::SeccompCache> seccomp;
  std::unique_ptr<runtime::Container> container;
  ContainerStatus status = ContainerStatus::kStopped;
};

// Errors: NotFound: `container does not exist`.
absl::StatusOr<LoadedContainer> LoadContainer(const GlobalOptions& global, const std::string& id,
                                              StateStore::Lock lock = StateStore::Lock::kNone);

// Ends what runs of it and removes its cgroup and its directory. The directory's lock must be held.
absl::Status DestroyContainer(LoadedContainer& loaded);

// "KILL", "sigkill", "9". Errors: InvalidArgument: `unknown signal "X"`.
absl::StatusOr<int> ParseSignal(const std::string& text);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_LOADED_CONTAINER_H_
