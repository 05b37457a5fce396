#ifndef GANTRY_SHIM_LOGGER_H_
#define GANTRY_SHIM_LOGGER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace gantry::shim {

// "binary:///path?key=value&flag": the program and its arguments, which are each key and then its
// value, if it has one, in the order of the query.
struct LoggerCommand {
  std::string path;
  std::vector<std::string> arguments;
};

// Errors: InvalidArgument naming the URI if its path is not absolute or an escape is broken.
absl::StatusOr<LoggerCommand> ParseLoggerUri(absl::string_view uri);

// A client's program that takes what a process writes: it reads standard output from descriptor 3
// and standard error from 4, and closes 5 (or writes to it) when it is ready. It ends when both
// have ended. Its environment is CONTAINER_ID and CONTAINER_NAMESPACE. Loop thread only.
// Source: containerd, docs/PLUGINS.md "stdio" and core/runtime/v2 README "Logging".
class Logger {
 public:
  // `out` and `err` are borrowed. Errors: those of starting the program, naming it.
  static absl::StatusOr<std::unique_ptr<Logger>> Start(EventLoop& loop, const std::string& uri,
                                                       const std::string& ns, const std::string& id,
                                                       int out, int err);
  // Tells a logger that still runs to end, and does not wait for it.
  ~Logger();

  // Calls `done` once, from the loop or at once. Errors: Unavailable if it said nothing within ten
  // seconds.
  void WhenReady(std::function<void(absl::Status)> done);
  // Calls `done` once, from the loop or at once, when it has ended.
  void WhenEnded(std::function<void()> done);
  [[nodiscard]] bool ended() const { return !pidfd_.valid(); }
  // Asks it to end, and kills it if it does not.
  void End();

 private:
  Logger(EventLoop& loop, std::string path) : loop_(loop), path_(std::move(path)) {}
  absl::Status Spawn(const LoggerCommand& command, const std::string& ns, const std::string& id,
                     int out, int err);
  void Ready(absl::Status status);
  void HandleEnd();

  EventLoop& loop_;
  const std::string path_;
  UniqueFd pidfd_;
  UniqueFd ready_;  // until it has said that it is ready
  absl::Status ready_status_;
  EventLoop::TimerId ready_limit_ = 0;
  EventLoop::TimerId kill_ = 0;
  std::function<void(absl::Status)> on_ready_;
  std::function<void()> on_ended_;
};

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_LOGGER_H_
