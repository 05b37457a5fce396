#ifndef GANTRY_RUNTIME_SPEC_NAMES_H_
#define GANTRY_RUNTIME_SPEC_NAMES_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace gantry::runtime {

// The words of the specification and the kernel's numbers. Empty for a word that is none of them.

// "CAP_SYS_ADMIN" -> 21.
std::optional<int> CapabilityByName(absl::string_view name);
// "RLIMIT_NOFILE" -> RLIMIT_NOFILE.
std::optional<int> RlimitByName(absl::string_view name);
// "rslave" -> MS_SLAVE | MS_REC.
std::optional<uint64_t> PropagationByName(absl::string_view name);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SPEC_NAMES_H_
