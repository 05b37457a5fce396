#include "runtime/process/identity.h"

#include <poll.h>
#include <sys/syscall.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"

namespace gantry::runtime {
namespace {

absl::StatusOr<std::string> BootId() {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/sys/kernel/random/boot_id"));
  return std::string(absl::StripAsciiWhitespace(text));
}

// Fields are counted from behind the name, which may hold anything, ")" included.
absl::StatusOr<uint64_t> StartTime(pid_t pid) {
  const std::string path = absl::StrCat("/proc/", pid, "/stat");
  absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) {
    // It went between open and read.
    return ErrnoOf(text.status()) == ESRCH ? WithCode(text.status(), absl::StatusCode::kNotFound)
                                           : text.status();
  }
  constexpr size_t kStartTime = 22 - 2;  // the first field behind the name is the third
  const size_t name_end = text->rfind(')');
  if (name_end != std::string::npos) {
    const std::vector<std::string> fields = absl::StrSplit(text->substr(name_end + 1), ' ');
    uint64_t ticks = 0;
    if (fields.size() > kStartTime && absl::SimpleAtoi(fields[kStartTime], &ticks)) return ticks;
  }
  return absl::InternalError(absl::StrCat("read the start time in ", path, ": ", *text));
}

}  // namespace

absl::StatusOr<ProcessIdentity> IdentifyProcess(pid_t pid) {
  ProcessIdentity identity;
  identity.pid = pid;
  GANTRY_ASSIGN_OR_RETURN(identity.start_time, StartTime(pid));
  GANTRY_ASSIGN_OR_RETURN(identity.boot_id, BootId());
  return identity;
}

absl::StatusOr<UniqueFd> OpenProcess(const ProcessIdentity& identity) {
  const absl::Status gone =
      absl::NotFoundError(absl::StrCat("process ", identity.pid, " has ended"));
  if (identity.pid <= 0) return gone;
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, identity.pid, 0)));
  if (!pidfd.valid()) {
    if (errno == ESRCH) return gone;
    return ErrnoError(errno, absl::StrCat("open a pidfd of process ", identity.pid));
  }
  // Read after the pidfd holds the process: if both are equal now, it is the one.
  const absl::StatusOr<ProcessIdentity> now = IdentifyProcess(identity.pid);
  if (!now.ok()) return absl::IsNotFound(now.status()) ? gone : now.status();
  if (*now != identity) return gone;
  return pidfd;
}

bool HasEnded(const UniqueFd& pidfd) {
  if (!pidfd.valid()) return true;
  pollfd polled{pidfd.get(), POLLIN, 0};
  return ::poll(&polled, 1, 0) == 1;
}

}  // namespace gantry::runtime
