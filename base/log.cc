#include "base/log.h"

#include <unistd.h>

#include <array>
#include <atomic>

namespace gantry {
namespace {

constexpr std::array<absl::string_view, 6> kNames = {"trace", "debug", "info",
                                                     "warn",  "error", "fatal"};

void ToStandardError(LogLevel level, absl::string_view message, const LogFields& fields) {
  std::string line = absl::StrCat("level=", LogLevelName(level), " msg=\"", message, "\"");
  for (const auto& [key, value] : fields) absl::StrAppend(&line, " ", key, "=\"", value, "\"");
  line.push_back('\n');
  // One write, so that lines of several processes do not mix. Nothing to be done if it fails.
  [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, line.data(), line.size());
}

std::atomic<LogSink> g_sink{ToStandardError};
std::atomic<LogLevel> g_level{LogLevel::kInfo};

}  // namespace

void SetLogSink(LogSink sink) { g_sink = sink; }
void SetLogLevel(LogLevel level) { g_level = level; }
bool LogEnabled(LogLevel level) { return level >= g_level.load(std::memory_order_relaxed); }

void Log(LogLevel level, absl::string_view message, const LogFields& fields) {
  if (LogEnabled(level)) g_sink.load(std::memory_order_relaxed)(level, message, fields);
}

bool ParseLogLevel(absl::string_view text, LogLevel* level) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) {
      *level = static_cast<LogLevel>(i);
      return true;
    }
  }
  return false;
}

absl::string_view LogLevelName(LogLevel level) { return kNames[static_cast<size_t>(level)]; }

}  // namespace gantry
