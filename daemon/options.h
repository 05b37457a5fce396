#ifndef GANTRY_DAEMON_OPTIONS_H_
#define GANTRY_DAEMON_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/config.h"

namespace gantry::daemon {

// What gantryd was asked to do.
enum class Command { kServe, kConfigDefault, kConfigDump, kCheck, kBackup, kPublish };

struct Options {
  Command command = Command::kServe;
  Config config;  // file and flags put together; flags win
  std::vector<std::string> warnings;
  std::string trace_start;  // file; empty: starts are not traced
  // Of check.
  bool repair = false;
  bool json = false;
  bool quick = false;
  // Of backup.
  std::string backup_directory;
  // Of publish.
  std::string event_topic;
  std::string event_namespace;
};

// Reads the command line and the configuration file it names. `exit_code` in place of options when
// the command line has been answered already (--help, --version, a usage error), with what there
// was to say printed.
struct ParsedOptions {
  std::optional<int> exit_code;
  Options options;
};

// Errors: those of LoadConfig and ValidateConfig; NotFound if --config names a missing file (the
// default file may be missing).
absl::StatusOr<ParsedOptions> ParseOptions(int argc, char** argv);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_OPTIONS_H_
