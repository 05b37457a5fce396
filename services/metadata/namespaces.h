#ifndef GANTRY_SERVICES_METADATA_NAMESPACES_H_
#define GANTRY_SERVICES_METADATA_NAMESPACES_H_

#include "services/metadata/store.h"

namespace gantry::metadata {

// A namespace comes to be by its first record. Called by whoever adds one, in the same transaction.
absl::Status EnsureNamespace(Writer& writer, absl::string_view ns);

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_NAMESPACES_H_
