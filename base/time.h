#ifndef GANTRY_BASE_TIME_H_
#define GANTRY_BASE_TIME_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace gantry {

// Seconds and nanoseconds since 1970 in UTC, as google.protobuf.Timestamp carries them; exact both
// ways for every value of it (year 1 included, which Go sends for "no time").
struct WallTime {
  int64_t seconds = 0;
  int32_t nanos = 0;

  bool operator==(const WallTime&) const = default;
};

WallTime ToWallTime(absl::Time time);
absl::Time FromWallTime(const WallTime& time);

// "2026-11-24T08:21:00.123456789Z". Errors of Parse: InvalidArgument with the text.
std::string FormatRfc3339(absl::Time time);
absl::StatusOr<absl::Time> ParseRfc3339(absl::string_view text);

}  // namespace gantry

#endif  // GANTRY_BASE_TIME_H_
