#ifndef GANTRY_SHIM_PROCESS_TITLE_H_
#define GANTRY_SHIM_PROCESS_TITLE_H_

#include <string>
#include <vector>

namespace gantry::shim {

// Remembers where the kernel keeps this process's arguments. Call first in main.
void RememberArguments(int argc, char** argv);

// Makes `arguments` what /proc/self/cmdline shows, cut to the room the original arguments had.
void SetArguments(const std::vector<std::string>& arguments);

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_PROCESS_TITLE_H_
