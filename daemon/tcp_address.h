#ifndef GANTRY_DAEMON_TCP_ADDRESS_H_
#define GANTRY_DAEMON_TCP_ADDRESS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::daemon {

// Where to listen: "127.0.0.1:1338", "[::1]:1338", "localhost:1338", or ":1338" for all addresses
// of this machine, as Go's net.Listen has it.
struct TcpAddress {
  std::string host;   // without brackets; empty: all addresses
  uint16_t port = 0;  // 0: one that is free
};

// Errors: InvalidArgument that says what is missing.
absl::StatusOr<TcpAddress> ParseTcpAddress(absl::string_view text);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_TCP_ADDRESS_H_
