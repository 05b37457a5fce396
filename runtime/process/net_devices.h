#ifndef GANTRY_RUNTIME_PROCESS_NET_DEVICES_H_
#define GANTRY_RUNTIME_PROCESS_NET_DEVICES_H_

#include <sys/types.h>

#include "absl/status/status.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// Moves spec.net_devices into the network namespace of a new container, whose init `pid` is: under
// their new names, with their permanent addresses of global scope, and up. Nothing is moved back:
// the kernel ends virtual devices with the namespace, and gives physical ones to the host.
//
// The calling thread is in the other namespace for a moment, to make a socket there.
// Errors: NotFound if there is no such device, AlreadyExists if the name is taken; InvalidArgument
// if the container has no network namespace of its own.
// Source: runtime-spec 1.3, config-linux.md "Namespaced Network Devices"; rtnetlink(7).
absl::Status MoveNetDevices(pid_t pid, const Linux& spec);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_PROCESS_NET_DEVICES_H_
