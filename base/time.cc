#include "base/time.h"

#include "base/errors.h"

namespace gantry {

WallTime ToWallTime(absl::Time time) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  const absl::Duration rest = time - absl::FromUnixSeconds(seconds);
  return {seconds, static_cast<int32_t>(absl::ToInt64Nanoseconds(rest))};
}

absl::Time FromWallTime(const WallTime& time) {
  return absl::FromUnixSeconds(time.seconds) + absl::Nanoseconds(time.nanos);
}

std::string FormatRfc3339(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E*SZ", time, absl::UTCTimeZone());
}

absl::StatusOr<absl::Time> ParseRfc3339(absl::string_view text) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return absl::InvalidArgumentError(absl::StrCat("time \"", text, "\": ", error));
  }
  return time;
}

}  // namespace gantry
