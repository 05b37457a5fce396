#include <poll.h>
#include <unistd.h>

#include <cstdio>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/json.h"
#include "cli/flags.h"
#include "cli/loaded_container.h"
#include "cli/stats_json.h"

namespace gantry::cli {
namespace {

void Print(const char* type, const std::string& id, const Json& data) {
  Json json = {{"type", type}, {"id", id}};
  if (!data.is_null()) json["data"] = data;
  std::printf("%s\n", DumpJson(json).c_str());
  std::fflush(stdout);  // who reads this through a pipe wants it now
}

absl::Status PrintStats(LoadedContainer& loaded) {
  GANTRY_ASSIGN_OR_RETURN(const runtime::CgroupStats stats, loaded.container->Stats());
  Print("stats", loaded.record.id, StatsJson(stats));
  return absl::OkStatus();
}

// Prints statistics every `interval` and each OOM kill, until the container ends.
absl::Status Follow(LoadedContainer& loaded, absl::Duration interval) {
  if (!loaded.container->has_cgroup()) {
    return absl::FailedPreconditionError("the container has no cgroup to watch");
  }
  absl::StatusOr<runtime::OomWatch> oom = loaded.container->cgroup().WatchOom();
  uint64_t kills = loaded.container->OomKills().value_or(0);
  absl::Time next = absl::Now() + interval;
  for (;;) {
    pollfd waited[2] = {{loaded.container->pidfd(), POLLIN, 0},
                        {oom.ok() ? oom->fd() : -1, oom.ok() ? oom->events() : short{0}, 0}};
    const absl::Duration left = std::max(next - absl::Now(), absl::ZeroDuration());
    const timespec timeout = absl::ToTimespec(left);
    if (::ppoll(waited, 2, &timeout, nullptr) < 0 && errno != EINTR) {
      return ErrnoError(errno, "wait for events");
    }
    if (waited[1].revents != 0 && !oom->Clear()) oom = absl::UnavailableError("closed");
    const uint64_t now = loaded.container->OomKills().value_or(kills);
    for (; kills < now; ++kills) Print("oom", loaded.record.id, nullptr);
    if (waited[0].revents != 0) return absl::OkStatus();
    if (absl::Now() < next) continue;
    next += interval;
    GANTRY_RETURN_IF_ERROR(PrintStats(loaded));
  }
}

}  // namespace

absl::StatusOr<int> RunEvents(const GlobalOptions& global, const std::vector<std::string>& args) {
  bool once = false;
  std::string interval_text = "5s";
  Flags flags(Flags::Order::kAnywhere);
  flags.Bool("--stats", &once);
  flags.Text("--interval", &interval_text);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("events", rest, 1, 1));
  absl::Duration interval;
  if (!absl::ParseDuration(interval_text, &interval) || interval <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("duration interval must be greater than 0");
  }
  GANTRY_ASSIGN_OR_RETURN(LoadedContainer loaded, LoadContainer(global, rest[0]));
  if (loaded.status == ContainerStatus::kStopped) {
    return absl::FailedPreconditionError(
        absl::StrCat("container with id ", rest[0], " is not running"));
  }
  GANTRY_RETURN_IF_ERROR(once ? PrintStats(loaded) : Follow(loaded, interval));
  return 0;
}

}  // namespace gantry::cli
