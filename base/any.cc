#include "base/any.h"

#include "absl/strings/strip.h"

namespace gantry {

bool TypeUrlIs(absl::string_view type_url, absl::string_view full_name) {
  return absl::StripPrefix(type_url, "type.googleapis.com/") == full_name;
}

}  // namespace gantry
