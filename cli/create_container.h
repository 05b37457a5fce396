#ifndef GANTRY_CLI_CREATE_CONTAINER_H_
#define GANTRY_CLI_CREATE_CONTAINER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/foreground.h"
#include "cli/notify_socket.h"
#include "cli/state_store.h"
#include "runtime/container.h"

namespace gantry::cli {

// What `create` and `run` have in common.
struct CreateFlags {
  std::string bundle;
  std::string console_socket;
  std::string pid_file;
  int64_t preserve_fds = 0;
  bool no_pivot = false;
  bool no_new_keyring = false;
};

void AddCreateFlags(Flags& flags, CreateFlags* out);

// A container that stands before its start, a child of this process. Its directory is locked.
struct CreatedContainer {
  ContainerDir dir;
  std::unique_ptr<runtime::SeccompCache> seccomp;
  std::unique_ptr<runtime::Container> container;
  // The master of a terminal that was not handed over.
  UniqueFd console;
  std::unique_ptr<Foreground> foreground;  // of `run` in the foreground
  NotifySocket notify;
};

// kDetached: another process will start it, or this one and then end; its terminal goes to the
// console socket.
enum class Attachment { kForeground, kDetached };

// An error leaves nothing behind.
absl::StatusOr<CreatedContainer> CreateContainer(const GlobalOptions& global, const std::string& id,
                                                 const CreateFlags& flags, Attachment attachment);

// Ends it, reaps it and removes all that is left of it.
absl::Status DiscardContainer(CreatedContainer& created);

// Ends a child of this process that was not wanted after all.
void KillAndReap(int pidfd);

// The number in `path`, in one step: whoever waits for the file finds it whole.
absl::Status WritePidFile(const std::string& path, pid_t pid);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_CREATE_CONTAINER_H_
