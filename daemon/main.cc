#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/synchronization/mutex.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/start_trace.h"
#include "daemon/backup_command.h"
#include "daemon/check_command.h"
#include "daemon/daemon.h"
#include "daemon/logging.h"
#include "daemon/options.h"
#include "daemon/publish_command.h"
#include "daemon/sockets.h"
#include "daemon/version.h"

namespace gantry::daemon {
namespace {

constexpr int kArenas = 4;

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "gantryd: %s\n", std::string(status.message()).c_str());
  return 1;
}

// Blocks the signals that end the daemon, here and in all threads to come, and gives them as a set
// to wait for.
sigset_t BlockEndingSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Serve(const Options& options) {
  if (::geteuid() != 0) {
    return Fail(absl::PermissionDeniedError(
        absl::StrCat("must run as root, is running as user ", ::geteuid())));
  }
  // Each thread would get an arena of its own, and keep in it what it once needed.
  ::mallopt(M_ARENA_MAX, kArenas);
  // Debian's abseil keeps a graph of which lock was taken under which, for each of gRPC's locks.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  if (!options.trace_start.empty()) {
    // Through the environment, so that the zygote and its shims know it as well.
    ::setenv(kStartTraceVariable, options.trace_start.c_str(), 1);
    StartTraceFromEnvironment("gantryd");
  }
  StartLogging(options.config);
  for (const std::string& warning : options.warnings) LogWarn(warning);
  ::signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = BlockEndingSignals();
  absl::StatusOr<std::unique_ptr<Daemon>> daemon = Daemon::Start(options.config);
  if (!daemon.ok()) {
    LogError("gantryd did not start", {{"error", std::string(daemon.status().message())}});
    return 1;
  }
  LogInfo("gantryd is serving", {{"version", kVersion},
                                 {"address", options.config.grpc.address},
                                 {"root", options.config.root},
                                 {"state", options.config.state},
                                 {"services", options.config.services.Text()}});
  NotifySupervisor("READY=1");
  int signal = 0;
  sigwait(&signals, &signal);
  LogInfo("gantryd is stopping", {{"signal", strsignal(signal)}});
  NotifySupervisor("STOPPING=1");
  (*daemon)->Stop();
  return 0;
}

}  // namespace
}  // namespace gantry::daemon

int main(int argc, char** argv) {
  using namespace gantry::daemon;
  if (const absl::Status armed = gantry::ArmFaultFromEnvironment(); !armed.ok()) return Fail(armed);
  const absl::StatusOr<ParsedOptions> parsed = ParseOptions(argc, argv);
  if (!parsed.ok()) return Fail(parsed.status());
  if (parsed->exit_code) return *parsed->exit_code;
  const Options& options = parsed->options;
  switch (options.command) {
    case Command::kServe:
      return Serve(options);
    case Command::kConfigDefault:
    case Command::kConfigDump:
      return std::fputs(DumpConfig(options.config).c_str(), stdout) < 0 ? 1 : 0;
    case Command::kCheck:
      return RunCheck(options.config, {.repair = options.repair, .digests = !options.quick},
                      options.json);
    case Command::kPublish:
      return RunPublish(options.config.grpc.address, options.event_topic, options.event_namespace);
    case Command::kBackup:
      return RunBackup(options.config, options.backup_directory);
  }
  return 1;
}
