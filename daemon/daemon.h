#ifndef GANTRY_DAEMON_DAEMON_H_
#define GANTRY_DAEMON_DAEMON_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "daemon/config.h"

namespace gantry::daemon {

// gantryd as one object: it takes the root's lock, starts the zygote, opens the store, restores
// tasks, and serves. Call from the main thread, before any other thread exists (the zygote is
// forked from it). Containers live on when it ends.
class Daemon {
 public:
  // Errors name the step and what it was about; nothing is left running then.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const Config& config);
  ~Daemon();

  // Ends streams, lets unary calls finish for a bounded time, cancels the rest, closes sockets.
  void Stop();

 private:
  struct Parts;
  explicit Daemon(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// The shim's program: `configured`, or the one beside gantryd's own executable, or the one in PATH.
// Errors: NotFound that lists where it was looked for.
absl::StatusOr<std::string> FindShim(const std::string& configured);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_DAEMON_H_
