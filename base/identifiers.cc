#include "base/identifiers.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace gantry {
namespace {

constexpr size_t kMaxIdentifier = 76;
constexpr size_t kMaxLabel = 4096;

bool IsSeparator(char c) { return c == '-' || c == '_' || c == '.'; }

}  // namespace

absl::Status ValidateIdentifier(absl::string_view field, absl::string_view value) {
  if (value.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(field, ": identifier must not be empty"));
  }
  if (value.size() > kMaxIdentifier) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": identifier \"", absl::CHexEscape(value.substr(0, kMaxIdentifier)),
                     "...\" greater than maximum length (", kMaxIdentifier, " characters)"));
  }
  bool wants_alphanumeric = true;
  bool good = true;
  for (const char c : value) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c))) {
      wants_alphanumeric = false;
    } else if (IsSeparator(c) && !wants_alphanumeric) {
      wants_alphanumeric = true;
    } else {
      good = false;
      break;
    }
  }
  if (!good || wants_alphanumeric) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": identifier \"", absl::CHexEscape(value),
                     "\" must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument"));
  }
  return absl::OkStatus();
}

absl::Status ValidateLabel(absl::string_view key, absl::string_view value) {
  if (key.empty()) return absl::InvalidArgumentError("a label's key is empty: invalid argument");
  if (key.size() + value.size() > kMaxLabel) {
    return absl::InvalidArgumentError(
        absl::StrCat("label key and value length (", key.size() + value.size(),
                     " bytes) greater than maximum size (", kMaxLabel,
                     " bytes), key: ", absl::CHexEscape(key.substr(0, 64)), ": invalid argument"));
  }
  return absl::OkStatus();
}

absl::Status ValidateLabels(const Labels& labels) {
  for (const auto& [key, value] : labels) {
    if (absl::Status status = ValidateLabel(key, value); !status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace gantry
