#ifndef GANTRY_CLI_ERROR_LOG_H_
#define GANTRY_CLI_ERROR_LOG_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cli/command.h"

namespace gantry::cli {

// Where this process's log lines go: the file of --log, appended to, else standard error; as text
// (`time="..." level=error msg="..."`) or one JSON object a line, as --log-format says. Engines
// read the last line of level "error" to tell their own clients why a command failed. Errors:
// InvalidArgument for an unknown format, or why the file cannot be opened.
absl::Status OpenErrorLog(const GlobalOptions& global);

// The error that a command ends with: into the log, and in any case to standard error.
void ReportError(absl::string_view message);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_ERROR_LOG_H_
