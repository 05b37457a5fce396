#ifndef GANTRY_CLI_ERRORS_H_
#define GANTRY_CLI_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gantry::cli {

// ErrnoError in the spelling of Go programs, which clients of runc match on:
// "chdir /x: no such file or directory".
absl::Status ErrnoWords(int error, absl::string_view what);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_ERRORS_H_
