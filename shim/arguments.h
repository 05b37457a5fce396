#ifndef GANTRY_SHIM_ARGUMENTS_H_
#define GANTRY_SHIM_ARGUMENTS_H_

#include <string>

#include "absl/status/statusor.h"

namespace gantry::shim {

// The command line of containerd's shim start protocol: Go flags ("-id x", "--id=x") and then what
// is to be done, "start" or "delete" ("serve" and "zygote" are this program's own).
struct ShimArguments {
  std::string ns;
  std::string id;
  std::string address;         // of the daemon's gRPC socket
  std::string publish_binary;  // the daemon's program, which publishes an event if it must
  std::string socket;
  std::string bundle;
  bool debug = false;
  bool version = false;
  bool info = false;
  std::string action;
};

// Errors: InvalidArgument naming the flag that is unknown or lacks its value.
absl::StatusOr<ShimArguments> ParseArguments(int argc, const char* const* argv);

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_ARGUMENTS_H_
