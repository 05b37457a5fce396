#ifndef GANTRY_CLI_FOREGROUND_H_
#define GANTRY_CLI_FOREGROUND_H_

#include <sys/types.h>

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "cli/notify_socket.h"
#include "cli/terminal.h"

namespace gantry::cli {

// Stays with a process of a container until it ends: forwards signals, carries a terminal's bytes
// and size, reaps orphans of which this process is the subreaper.
class Foreground {
 public:
  // Blocks the signals that will be forwarded. Before the process is made, so that none is lost;
  // the process itself starts with none blocked. Opens the host's terminal if `process` wants one,
  // and gives it that one's size.
  static absl::StatusOr<std::unique_ptr<Foreground>> Prepare(runtime::Process* process);

  // `pid` is a child of this process. `console` may be empty. Gives its exit status, or 128 and the
  // signal that ended it.
  absl::StatusOr<int> Wait(pid_t pid, int pidfd, UniqueFd console, NotifySocket* notify = nullptr);

 private:
  explicit Foreground(UniqueFd signals) : signals_(std::move(signals)) {}
  absl::Status HandleSignals(pid_t pid, int pidfd, std::optional<int>* exit_status);
  absl::Status TakeTerminal(UniqueFd console);
  // The rest of what the process wrote.
  void Drain();

  UniqueFd signals_;  // signalfd(2)
  UniqueFd console_;
  std::optional<HostTerminal> terminal_;
};

}  // namespace gantry::cli

#endif  // GANTRY_CLI_FOREGROUND_H_
