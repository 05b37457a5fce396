#ifndef GANTRY_CLI_TERMINAL_H_
#define GANTRY_CLI_TERMINAL_H_

#include <termios.h>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/spec/spec.h"

namespace gantry::cli {

// The terminal that this process was started from, in raw mode for as long as this lives: every key
// goes to the container's terminal, which makes signals and echo of it.
class HostTerminal {
 public:
  // One of the standard descriptors, else /dev/tty. Errors: FailedPrecondition if there is none.
  static absl::StatusOr<HostTerminal> Open();
  HostTerminal(HostTerminal&&) noexcept = default;
  HostTerminal& operator=(HostTerminal&&) = delete;
  ~HostTerminal();

  absl::Status MakeRaw();
  // 0, 0 if it has none.
  [[nodiscard]] runtime::ConsoleSize Size() const;
  // Gives `console` this terminal's size.
  absl::Status CopySizeTo(const UniqueFd& console) const;

 private:
  HostTerminal(UniqueFd fd, const termios& before) : fd_(std::move(fd)), before_(before) {}

  UniqueFd fd_;
  termios before_;
  bool raw_ = false;
};

}  // namespace gantry::cli

#endif  // GANTRY_CLI_TERMINAL_H_
