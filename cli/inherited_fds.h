#ifndef GANTRY_CLI_INHERITED_FDS_H_
#define GANTRY_CLI_INHERITED_FDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace gantry::cli {

// Makes sure that 0, 1 and 2 are open, and notes which descriptors from 3 on the caller handed
// over. Before this program opens anything: what it opens itself must never reach a container,
// whatever number --preserve-fds says.
void NoteInheritedFds();

// How many descriptors the process inherits: $LISTEN_FDS, if they are meant for this process, and
// `preserve_fds`. The variables for the process go to `env`. Errors: InvalidArgument if the caller
// has not handed over so many.
absl::StatusOr<unsigned> InheritedFds(int64_t preserve_fds, std::vector<std::string>* env);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_INHERITED_FDS_H_
