#ifndef GANTRY_SHIM_PUBLISH_BINARY_H_
#define GANTRY_SHIM_PUBLISH_BINARY_H_

#include <sys/types.h>

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gantry::shim {

// The way of events to a daemon that gave no TTRPC_ADDRESS: its own program is run for each,
// `PROGRAM --address ADDRESS publish --topic TOPIC --namespace NS` with the event as an Any on its
// standard input. One at a time. The loop's thread only.
class PublishBinary {
 public:
  PublishBinary(std::string program, std::string address)
      : program_(std::move(program)), address_(std::move(address)) {}

  // `request` is an encoded ForwardRequest. `done` is called once, at once if the program cannot be
  // started. Errors: Unavailable, which is worth another try.
  void Publish(absl::string_view request, std::function<void(absl::Status)> done);
  // Told of each child that was reaped and is no container's process.
  void HandleChild(pid_t pid, uint32_t exit_status);

 private:
  const std::string program_;
  const std::string address_;
  pid_t pid_ = -1;
  std::function<void(absl::Status)> done_;
};

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_PUBLISH_BINARY_H_
