#include "services/diff/tar_number.h"

#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace gantry::diff {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1000000000;

absl::Status BadNumber(absl::string_view text, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, " \"", absl::CHexEscape(text.substr(0, 64)), "\" is not a number"));
}

bool IsDigits(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isdigit(c)) return false;
  }
  return !text.empty();
}

// Two's complement, big endian, in all bits but the first.
absl::StatusOr<int64_t> ParseBase256(absl::string_view field, absl::string_view what) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(field[i]); };
  const bool negative = (byte(0) & 0x40) != 0;
  const unsigned char flip = negative ? 0xff : 0;
  uint64_t value = 0;
  for (size_t i = 0; i < field.size(); ++i) {
    unsigned char c = byte(i) ^ flip;
    if (i == 0) c &= 0x7f;
    if ((value >> 56) != 0) return BadNumber(field, what);
    value = value << 8 | c;
  }
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    return BadNumber(field, what);
  }
  return negative ? ~static_cast<int64_t>(value) : static_cast<int64_t>(value);
}

}  // namespace

absl::StatusOr<int64_t> ParseTarNumber(absl::string_view field, absl::string_view what) {
  if (!field.empty() && (field[0] & 0x80) != 0) return ParseBase256(field, what);
  const auto blank = [](char c) { return c == ' ' || c == '\0'; };
  absl::string_view text = field;
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  text = text.substr(0, text.find('\0'));
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  // At most 12 octal digits: 36 bits.
  int64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7') return BadNumber(field, what);
    value = value * 8 + (c - '0');
  }
  return value;
}

absl::StatusOr<int64_t> ParseDecimal(absl::string_view text, absl::string_view what) {
  int64_t value = 0;
  if (!IsDigits(text) || !absl::SimpleAtoi(text, &value)) return BadNumber(text, what);
  return value;
}

absl::StatusOr<struct timespec> ParsePaxTime(absl::string_view text, absl::string_view what) {
  absl::string_view rest = text;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (negative) rest.remove_prefix(1);
  const size_t dot = rest.find('.');
  const absl::string_view whole = rest.substr(0, dot);
  absl::string_view fraction = dot == absl::string_view::npos ? "" : rest.substr(dot + 1);
  struct timespec time {};
  int64_t seconds = 0;
  if (!IsDigits(whole) || !absl::SimpleAtoi(whole, &seconds) ||
      (!fraction.empty() && !IsDigits(fraction))) {
    return BadNumber(text, what);
  }
  int64_t nanoseconds = 0;
  for (size_t i = 0; i < 9; ++i) {
    nanoseconds = nanoseconds * 10 + (i < fraction.size() ? fraction[i] - '0' : 0);
  }
  // The sign is over the sum; a timespec counts up from the second below.
  if (negative && nanoseconds > 0) {
    time.tv_sec = -seconds - 1;
    time.tv_nsec = kNanosecondsPerSecond - nanoseconds;
  } else {
    time.tv_sec = negative ? -seconds : seconds;
    time.tv_nsec = nanoseconds;
  }
  return time;
}

}  // namespace gantry::diff
