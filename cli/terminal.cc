#include "cli/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/file.h"

namespace gantry::cli {

absl::StatusOr<HostTerminal> HostTerminal::Open() {
  termios before{};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::tcgetattr(fd, &before) != 0) continue;
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy.valid()) return ErrnoError(errno, "duplicate the terminal");
    return HostTerminal(std::move(copy), before);
  }
  absl::StatusOr<UniqueFd> tty = OpenFile("/dev/tty", O_RDWR | O_NOCTTY);
  if (!tty.ok() || ::tcgetattr(tty->get(), &before) != 0) {
    return absl::FailedPreconditionError(
        "open /dev/tty: the process wants a terminal and this one has none");
  }
  return HostTerminal(*std::move(tty), before);
}

HostTerminal::~HostTerminal() {
  if (fd_.valid() && raw_) ::tcsetattr(fd_.get(), TCSANOW, &before_);
}

absl::Status HostTerminal::MakeRaw() {
  termios raw = before_;
  ::cfmakeraw(&raw);
  if (::tcsetattr(fd_.get(), TCSANOW, &raw) != 0) return ErrnoError(errno, "make the terminal raw");
  raw_ = true;
  return absl::OkStatus();
}

runtime::ConsoleSize HostTerminal::Size() const {
  winsize size{};
  if (::ioctl(fd_.get(), TIOCGWINSZ, &size) != 0) return {};
  return {size.ws_row, size.ws_col};
}

absl::Status HostTerminal::CopySizeTo(const UniqueFd& console) const {
  winsize size{};
  if (::ioctl(fd_.get(), TIOCGWINSZ, &size) != 0 ||
      ::ioctl(console.get(), TIOCSWINSZ, &size) != 0) {
    return ErrnoError(errno, "copy the size of the terminal");
  }
  return absl::OkStatus();
}

}  // namespace gantry::cli
