#ifndef GANTRY_CLI_PROTECT_BINARY_H_
#define GANTRY_CLI_PROTECT_BINARY_H_

#include "absl/status/status.h"

namespace gantry::cli {

// Makes sure that nobody can write into this program's file through /proc/PID/exe (CVE-2019-5736):
// an image whose program is a script of the interpreter "/proc/self/exe" gets this program executed
// inside the container, where root may open it, and write once it has ended.
//
// Unless the file is out of reach as it is, the program is executed again: from a read-only mount
// of its file that is nowhere attached, or from a sealed copy in memory where that may not be made.
// Then this does not return. Before anything else in the process: `argv` is that of main.
absl::Status ProtectBinary(char** argv);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_PROTECT_BINARY_H_
