#include "cli/error_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"

namespace gantry::cli {
namespace {

// Set once, before anything is logged.
int log_fd = STDERR_FILENO;
bool as_json = false;

// A value as logfmt quotes it, with Go's escapes.
std::string Quoted(absl::string_view text) {
  return absl::StrCat(
      "\"",
      absl::StrReplaceAll(
          text, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}, {"\t", "\\t"}, {"\r", "\\r"}}),
      "\"");
}

std::string Line(LogLevel level, absl::string_view message, const LogFields& fields) {
  const std::string now = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", absl::Now(), absl::UTCTimeZone());
  const std::string name(level == LogLevel::kWarn ? "warning" : LogLevelName(level));
  if (as_json) {
    Json json = {{"level", name}, {"msg", std::string(message)}, {"time", now}};
    for (const auto& [key, value] : fields) json[key] = value;
    return absl::StrCat(DumpJson(json), "\n");
  }
  std::string line = absl::StrCat("time=", Quoted(now), " level=", name, " msg=", Quoted(message));
  for (const auto& [key, value] : fields) absl::StrAppend(&line, " ", key, "=", Quoted(value));
  return absl::StrCat(line, "\n");
}

void Write(LogLevel level, absl::string_view message, const LogFields& fields) {
  WriteAll(log_fd, Line(level, message, fields), "log").IgnoreError();
}

}  // namespace

absl::Status OpenErrorLog(const GlobalOptions& global) {
  SetLogSink(Write);
  SetLogLevel(global.debug ? LogLevel::kDebug : LogLevel::kInfo);
  if (global.log_format == "json") {
    as_json = true;
  } else if (global.log_format != "text" && !global.log_format.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("invalid log-format: ", global.log_format));
  }
  if (global.log.empty()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(global.log, O_CREAT | O_WRONLY | O_APPEND, 0644));
  // Above everything that --preserve-fds may name.
  log_fd = fd.release();
  return absl::OkStatus();
}

void ReportError(absl::string_view message) {
  Write(LogLevel::kError, message, {});
  if (log_fd != STDERR_FILENO) {
    WriteAll(STDERR_FILENO, absl::StrCat(message, "\n"), "error").IgnoreError();
  }
}

}  // namespace gantry::cli
