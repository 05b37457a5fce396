#include "services/metadata/namespaces.h"

#include "base/errors.h"

namespace gantry::metadata {

absl::Status EnsureNamespace(Writer& writer, absl::string_view ns) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> found, writer.Get("namespaces", "", ns));
  if (found.has_value()) return absl::OkStatus();
  return writer.Put("namespaces", "", ns, "");
}

}  // namespace gantry::metadata
