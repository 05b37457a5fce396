#include "cli/loaded_container.h"

#include <poll.h>
#include <signal.h>

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "base/errors.h"
#include "runtime/process/start_socket.h"

namespace gantry::cli {
namespace {

// How long a killed init may take: it can hang in the kernel, on a dead network file system.
constexpr int kKillTimeoutMs = 10000;

absl::StatusOr<ContainerStatus> StatusOf(const LoadedContainer& loaded, bool waits_for_start) {
  if (loaded.container->HasEnded()) {
    const bool being_made = loaded.record.init.pid == 0 && loaded.dir.LockedByOther();
    return being_made ? ContainerStatus::kCreating : ContainerStatus::kStopped;
  }
  GANTRY_ASSIGN_OR_RETURN(const bool paused, loaded.container->Paused());
  if (paused) return ContainerStatus::kPaused;
  return waits_for_start ? ContainerStatus::kCreated : ContainerStatus::kRunning;
}

}  // namespace

const char* StatusName(ContainerStatus status) {
  switch (status) {
    case ContainerStatus::kCreating:
      return "creating";
    case ContainerStatus::kCreated:
      return "created";
    case ContainerStatus::kRunning:
      return "running";
    case ContainerStatus::kPaused:
      return "paused";
    case ContainerStatus::kStopped:
      break;
  }
  return "stopped";
}

absl::StatusOr<LoadedContainer> LoadContainer(const GlobalOptions& global, const std::string& id,
                                              StateStore::Lock lock) {
  const StateStore store(global.root);
  GANTRY_ASSIGN_OR_RETURN(ContainerDir dir, store.Open(id, lock));
  absl::StatusOr<ContainerRecord> record = dir.ReadRecord();
  if (absl::IsNotFound(record.status())) {
    return absl::NotFoundError("container does not exist");
  }
  if (!record.ok()) return record.status();
  GANTRY_ASSIGN_OR_RETURN(const std::string config, dir.ReadConfig());
  runtime::LoadOptions options;
  GANTRY_ASSIGN_OR_RETURN(options.spec, runtime::ParseSpec(config));
  options.spec.linux_.cgroups_path = record->cgroups_path;
  options.creator_cgroups = record->creator_cgroups;
  options.id = id;
  options.bundle = record->bundle;
  options.init = record->init;
  options.no_new_keyring = record->no_new_keyring;
  auto seccomp = std::make_unique<runtime::SeccompCache>(SeccompCacheDirectory());
  options.seccomp = seccomp.get();
  absl::StatusOr<UniqueFd> connection = runtime::ConnectForStart(dir.path());
  if (connection.ok()) options.start_connection = *std::move(connection);
  const bool waits_for_start = options.start_connection.valid();
  runtime::Process process = options.spec.process;
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<runtime::Container> container,
                          runtime::Container::Load(std::move(options)));
  LoadedContainer loaded{std::move(dir),     *std::move(record),   std::move(process),
                         std::move(seccomp), std::move(container), ContainerStatus::kStopped};
  GANTRY_ASSIGN_OR_RETURN(loaded.status, StatusOf(loaded, waits_for_start));
  return loaded;
}

absl::Status DestroyContainer(LoadedContainer& loaded) {
  if (!loaded.container->HasEnded()) {
    const absl::Status killed = loaded.container->Kill(SIGKILL);
    if (!killed.ok() && !absl::IsNotFound(killed)) return killed;
    pollfd ended{loaded.container->pidfd(), POLLIN, 0};
    int ready;
    do {
      ready = ::poll(&ended, 1, kKillTimeoutMs);
    } while (ready < 0 && errno == EINTR);
    if (ready == 0) return absl::UnavailableError("container init still running");
  }
  GANTRY_RETURN_IF_ERROR(loaded.container->Destroy());
  return loaded.dir.Remove();
}

absl::StatusOr<int> ParseSignal(const std::string& text) {
  int number = 0;
  if (absl::SimpleAtoi(text, &number)) {
    if (number >= 0 && number < NSIG) return number;
    return absl::InvalidArgumentError(absl::StrCat("unknown signal \"", text, "\""));
  }
  const std::string upper = absl::AsciiStrToUpper(text);
  const absl::string_view name =
      absl::StartsWith(upper, "SIG") ? absl::string_view(upper).substr(3) : upper;
  for (int signal = 1; signal < NSIG; ++signal) {
    const char* const known = ::sigabbrev_np(signal);
    if (known != nullptr && name == known) return signal;
  }
  // The old names, which sigabbrev_np does not give.
  constexpr std::pair<const char*, int> kOthers[] = {
      {"IOT", SIGIOT}, {"CLD", SIGCHLD}, {"POLL", SIGPOLL}, {"IO", SIGIO}};
  for (const auto& [known, signal] : kOthers) {
    if (name == known) return signal;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown signal \"", text, "\""));
}

}  // namespace gantry::cli
