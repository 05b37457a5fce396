#include "daemon/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/json.h"
#include "base/log.h"
#include "base/time.h"

namespace gantry::daemon {
namespace {

bool json_lines = false;

// logfmt quotes a value only when it could be misread without.
std::string LogfmtValue(absl::string_view value) {
  const bool plain = !value.empty() && value.find_first_of(" =\"\\\n\t") == absl::string_view::npos;
  return plain ? std::string(value) : absl::StrCat("\"", absl::Utf8SafeCEscape(value), "\"");
}

std::string Line(LogLevel level, absl::string_view message, const LogFields& fields) {
  const std::string time = FormatRfc3339(absl::Now());
  if (json_lines) {
    Json line = {
        {"time", time}, {"level", std::string(LogLevelName(level))}, {"msg", std::string(message)}};
    for (const auto& [key, value] : fields) line[key] = value;
    return DumpJson(line);
  }
  std::string line =
      absl::StrCat("time=", time, " level=", LogLevelName(level), " msg=", LogfmtValue(message));
  for (const auto& [key, value] : fields) {
    absl::StrAppend(&line, " ", key, "=", LogfmtValue(value));
  }
  return line;
}

void ToSpdlog(LogLevel level, absl::string_view message, const LogFields& fields) {
  const std::string line = Line(level, message, fields);
  spdlog::default_logger_raw()->log(spdlog::level::info, spdlog::string_view_t(line));
}

}  // namespace

void StartLogging(const Config& config) {
  json_lines = config.log_format == "json";
  auto logger = spdlog::stderr_logger_mt("gantryd");
  // The line is made here, level and time included; base/log.h has filtered by level.
  logger->set_pattern("%v");
  logger->set_level(spdlog::level::trace);
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  LogLevel level = LogLevel::kInfo;
  ParseLogLevel(config.log_level, &level);
  SetLogLevel(level);
  SetLogSink(&ToSpdlog);
}

}  // namespace gantry::daemon
