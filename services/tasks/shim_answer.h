#ifndef GANTRY_SERVICES_TASKS_SHIM_ANSWER_H_
#define GANTRY_SERVICES_TASKS_SHIM_ANSWER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::tasks {

// What a shim's "start" printed: a plain address (version 2), or bootstrap parameters as JSON.
struct ShimAnswer {
  std::string socket;  // path of a unix socket
  int version = 2;     // of the Task API
};

// Errors: InvalidArgument for what is neither; Unimplemented for a version or a protocol that is
// not spoken here.
absl::StatusOr<ShimAnswer> ParseShimAnswer(absl::string_view text);

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_SHIM_ANSWER_H_
