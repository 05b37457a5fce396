#include "runtime/cgroup/processes.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <span>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"

namespace gantry::runtime {
namespace {

// Far below the usual limit of 1024 descriptors.
constexpr size_t kBatch = 256;
constexpr int kRoundsBeforeHold = 1;

absl::Status SignalBatch(const CollectPids& collect, std::span<const pid_t> pids, int signal) {
  std::vector<std::pair<pid_t, UniqueFd>> open;
  for (const pid_t pid : pids) {
    UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (pidfd.valid()) {
      open.emplace_back(pid, std::move(pidfd));
    } else if (errno != ESRCH && errno != EINVAL) {  // EINVAL: its leader has exited
      return ErrnoError(errno, absl::StrCat("open process ", pid));
    }
  }
  // A number that is still in the cgroup now, with its pidfd open already, is the right process.
  std::set<pid_t> still;
  GANTRY_RETURN_IF_ERROR(collect(&still));
  for (const auto& [pid, pidfd] : open) {
    if (still.count(pid) == 0) continue;
    if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) != 0 && errno != ESRCH) {
      return ErrnoError(errno, absl::StrCat("send signal ", signal, " to process ", pid));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SignalProcesses(const CollectPids& collect, int signal,
                             const std::function<void()>& hold_still) {
  std::set<pid_t> told;
  for (int round = 0;; ++round) {
    std::set<pid_t> pids;
    GANTRY_RETURN_IF_ERROR(collect(&pids));
    std::vector<pid_t> fresh;
    for (const pid_t pid : pids) {
      if (told.insert(pid).second) fresh.push_back(pid);
    }
    if (fresh.empty()) return absl::OkStatus();
    for (size_t at = 0; at < fresh.size(); at += kBatch) {
      const size_t count = std::min(kBatch, fresh.size() - at);
      GANTRY_RETURN_IF_ERROR(SignalBatch(collect, std::span(fresh).subspan(at, count), signal));
    }
    if (signal != SIGKILL) return absl::OkStatus();
    if (round == kRoundsBeforeHold && hold_still) hold_still();
  }
}

absl::Status WaitForEvent(const CgroupDir& dir, absl::string_view key, uint64_t value,
                          absl::Duration timeout) {
  const absl::StatusOr<UniqueFd> events = OpenFileAt(dir.fd(), "cgroup.events", O_RDONLY);
  if (!events.ok()) {
    return absl::IsNotFound(events.status()) ? absl::OkStatus() : events.status();
  }
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    char text[256];
    const ssize_t got = ::pread(events->get(), text, sizeof text, 0);
    if (got < 0 && errno == ENODEV) return absl::OkStatus();
    if (got < 0) return ErrnoError(errno, absl::StrCat("read ", dir.path(), "/cgroup.events"));
    const std::string lines = absl::StrCat("\n", absl::string_view(text, got));
    if (lines.find(absl::StrCat("\n", key, " ", value, "\n")) != std::string::npos) {
      return absl::OkStatus();
    }
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) {
      return absl::UnavailableError(absl::StrCat("cgroup ", dir.path(), ": no \"", key, " ", value,
                                                 "\" within ", absl::FormatDuration(timeout)));
    }
    // The file raises POLLPRI when its text changes, and POLLERR is always set with it.
    struct pollfd change = {events->get(), POLLPRI, 0};
    ::poll(&change, 1, static_cast<int>(absl::ToInt64Milliseconds(left)) + 1);
  }
}

}  // namespace gantry::runtime
