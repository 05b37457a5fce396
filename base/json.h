#ifndef GANTRY_BASE_JSON_H_
#define GANTRY_BASE_JSON_H_

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry {

using Json = nlohmann::json;

// Parses hostile text without an exception: at most `max_bytes` long and 128 levels deep.
// Errors: InvalidArgument with `what` and the position.
absl::StatusOr<Json> ParseJson(absl::string_view text, absl::string_view what,
                               size_t max_bytes = 16 << 20);

// `json` on one line; bytes that are not UTF-8 become U+FFFD rather than an exception.
std::string DumpJson(const Json& json);

}  // namespace gantry

#endif  // GANTRY_BASE_JSON_H_
