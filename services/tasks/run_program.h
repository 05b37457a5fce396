#ifndef GANTRY_SERVICES_TASKS_RUN_PROGRAM_H_
#define GANTRY_SERVICES_TASKS_RUN_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace gantry::tasks {

struct Program {
  std::string path;
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  // "NAME=value"
  std::string directory;
  std::string input;
  absl::Duration timeout = absl::Seconds(30);
};

// Runs a program to its end and gives what it printed on standard output. Its streams are files in
// memory, so that neither a process it leaves behind nor one that reads nothing is waited for.
// Blocks; any thread (posix_spawn(3): this process, which has threads, is not forked).
// Errors: Unknown with its end and what it printed last on standard error; DeadlineExceeded after
// it was killed; errors of starting it.
absl::StatusOr<std::string> RunProgram(const Program& program);

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_RUN_PROGRAM_H_
