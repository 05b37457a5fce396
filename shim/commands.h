#ifndef GANTRY_SHIM_COMMANDS_H_
#define GANTRY_SHIM_COMMANDS_H_

#include "shim/arguments.h"

namespace gantry::shim {

// What this program does when a containerd runs it (shim v2 start protocol, docs/shim.md). Each
// gives back the process's exit status; an error is told on standard error. The working directory
// is the container's bundle.

// "start": leaves a shim behind that listens, or finds the one of the container's group, and prints
// its address.
int RunStart(const ShimArguments& arguments);

// "serve": the shim that "start" leaves behind. Its listening socket is descriptor 3.
int RunServe(const ShimArguments& arguments);

// "delete": removes what a container of a dead shim left, prints a containerd.task.v2
// DeleteResponse.
int RunDelete(const ShimArguments& arguments);

// "-info": prints a containerd.types.RuntimeInfo.
int PrintInfo();
int PrintVersion();

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_COMMANDS_H_
