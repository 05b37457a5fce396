#ifndef GANTRY_SERVICES_DIFF_TAR_NUMBER_H_
#define GANTRY_SERVICES_DIFF_TAR_NUMBER_H_

#include <time.h>

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::diff {

// The number in a header's field `what`: octal text between spaces and NULs (blank: 0), or base-256
// (GNU, star) where the first bit is set. Errors: InvalidArgument that names `what`.
absl::StatusOr<int64_t> ParseTarNumber(absl::string_view field, absl::string_view what);

// A decimal number of a PAX record or a sparse map; not negative. Errors: as above.
absl::StatusOr<int64_t> ParseDecimal(absl::string_view text, absl::string_view what);

// A time of a PAX record: "[-]SECONDS[.FRACTION]". Digits past nanoseconds are cut off. Errors: as
// above.
absl::StatusOr<struct timespec> ParsePaxTime(absl::string_view text, absl::string_view what);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_TAR_NUMBER_H_
