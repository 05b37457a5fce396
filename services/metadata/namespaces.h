#ifndef GANTRY_SERVICES_METADATA_NAMESPACES_H_
#define GANTRY_SERVICES_METADATA_NAMESPACES_H_

#include "base/identifiers.h"
#include "services/metadata/store.h"

namespace gantry::metadata {

// A namespace comes to be by its first record. Called by whoever adds one, in the same transaction.
// Nothing is done for "", which is no namespace.
absl::Status EnsureNamespace(Writer& writer, absl::string_view ns);

// None for a namespace without a record. Errors: DataLoss.
absl::StatusOr<Labels> NamespaceLabels(const Reader& reader, absl::string_view ns);

// The value of a namespace's record.
std::string EncodeNamespace(const Labels& labels);
absl::StatusOr<Labels> DecodeNamespace(absl::string_view name, absl::string_view bytes);
// The names of all namespaces, ordered.
absl::StatusOr<std::vector<std::string>> ListNamespaces(const Store& store);

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_NAMESPACES_H_
