#ifndef GANTRY_BASE_IDENTIFIERS_H_
#define GANTRY_BASE_IDENTIFIERS_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gantry {

// Labels of every kind of record, ordered so that listings are stable.
using Labels = std::map<std::string, std::string>;

// containerd's rule for ids of namespaces, containers, execs and leases: letters and digits with
// single '-', '_' or '.' between them, 1 to 76 characters.
// Errors: InvalidArgument that names `field` and the value.
absl::Status ValidateIdentifier(absl::string_view field, absl::string_view value);

// A label has a key, which is together with its value at most 4096 bytes. Errors: InvalidArgument
// naming the key.
absl::Status ValidateLabel(absl::string_view key, absl::string_view value);
absl::Status ValidateLabels(const Labels& labels);

}  // namespace gantry

#endif  // GANTRY_BASE_IDENTIFIERS_H_
