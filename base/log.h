#ifndef GANTRY_BASE_LOG_H_
#define GANTRY_BASE_LOG_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace gantry {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError, kFatal };

// Key and value pairs that go with a message. Never secrets: no environment, no argument lists.
using LogFields = std::vector<std::pair<std::string, std::string>>;

// Where log lines go. The daemon sets a sink on spdlog, the shim one that writes to its log FIFO;
// until one is set they go to standard error. Set once, before threads start.
using LogSink = void (*)(LogLevel level, absl::string_view message, const LogFields& fields);
void SetLogSink(LogSink sink);
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);

void Log(LogLevel level, absl::string_view message, const LogFields& fields = {});
inline void LogDebug(absl::string_view message, const LogFields& fields = {}) {
  Log(LogLevel::kDebug, message, fields);
}
inline void LogInfo(absl::string_view message, const LogFields& fields = {}) {
  Log(LogLevel::kInfo, message, fields);
}
inline void LogWarn(absl::string_view message, const LogFields& fields = {}) {
  Log(LogLevel::kWarn, message, fields);
}
inline void LogError(absl::string_view message, const LogFields& fields = {}) {
  Log(LogLevel::kError, message, fields);
}

// "trace" .. "fatal"; false if `text` is none of them.
bool ParseLogLevel(absl::string_view text, LogLevel* level);
absl::string_view LogLevelName(LogLevel level);

}  // namespace gantry

#endif  // GANTRY_BASE_LOG_H_
