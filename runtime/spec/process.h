#ifndef GANTRY_RUNTIME_SPEC_PROCESS_H_
#define GANTRY_RUNTIME_SPEC_PROCESS_H_

#include "absl/status/statusor.h"
#include "base/json.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// The objects of config.json. `path` is how errors name them ("process").
absl::StatusOr<Process> ProcessFromJson(const Json& json, absl::string_view path);
absl::StatusOr<Linux> LinuxFromJson(const Json& json, absl::string_view path);
absl::StatusOr<IdMapping> IdMappingFromJson(const Json& json, absl::string_view path);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SPEC_PROCESS_H_
