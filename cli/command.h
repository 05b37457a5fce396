#ifndef GANTRY_CLI_COMMAND_H_
#define GANTRY_CLI_COMMAND_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::cli {

// gantry-oci: the command line of runc 1.1 over gantry's runtime library. Each command is a file of
// its own; a command runs once in a process that has a single thread.
// Source: runc-*(8) of runc 1.1; opencontainers/runtime-tools, docs/command-line-interface.md.

struct GlobalOptions {
  std::string root;
  std::string log;
  std::string log_format = "text";
  std::string criu = "criu";
  std::string rootless = "auto";
  bool debug = false;
  bool systemd_cgroup = false;
};

// Whether cgroups may be missing: --rootless, or by itself for who is not root on the host.
bool IsRootless(const GlobalOptions& global);

// The arguments behind the command's name. The number is the program's exit status.
using RunCommand = absl::StatusOr<int> (*)(const GlobalOptions& global,
                                           const std::vector<std::string>& args);

struct Command {
  const char* name;
  const char* summary;
  const char* usage;  // behind "gantry-oci NAME"; empty: no arguments
  const char* flags;  // lines of the help, may be empty
  RunCommand run;
  const char* error_prefix = "";  // before every error's message
  int error_status = 1;
};

// An error of the command line itself: its help is printed along. Errors: InvalidArgument.
absl::Status UsageError(absl::string_view message);
bool IsUsageError(const absl::Status& status);

// Errors: a UsageError in runc's words if there are fewer or more arguments than said.
absl::Status CheckArgs(absl::string_view command, const std::vector<std::string>& args,
                       size_t at_least, size_t at_most);

absl::StatusOr<int> RunCheckpoint(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunCreate(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunDelete(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunEvents(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunExec(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunFeatures(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunKill(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunList(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunPause(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunPs(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunRestore(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunResume(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunRun(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunSpec(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunStart(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunState(const GlobalOptions&, const std::vector<std::string>& args);
absl::StatusOr<int> RunUpdate(const GlobalOptions&, const std::vector<std::string>& args);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_COMMAND_H_
