#ifndef GANTRY_SHIM_SHIM_H_
#define GANTRY_SHIM_SHIM_H_

#include <string>

#include "base/unique_fd.h"

namespace gantry::shim {

struct ShimConfig {
  std::string ns;
  std::string id;
  std::string bundle;
  std::string ttrpc_address;  // where events go
  // Whether the daemon behind it handles events in the order in which they arrive.
  bool daemon_keeps_order = false;
  // Where they go without it (PublishBinary).
  std::string daemon_address;
  std::string publish_binary;
  // The listener's path, if the shim is to remove it once it ends; empty: others see to that.
  std::string own_socket;
  bool debug = false;
  UniqueFd listener;
};

// The shim's whole life: serves the Task API on `config.listener` until a client shuts it down.
// Called once per process, which has one thread. Gives back the process's exit status.
int RunShim(ShimConfig config);

// Path of the socket `listener` is bound to, or "".
std::string SocketPathOf(int listener);

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_SHIM_H_
