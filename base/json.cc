#include "base/json.h"

#include "base/errors.h"

namespace gantry {
namespace {

constexpr int kMaxDepth = 128;

// nlohmann parses without recursion but destroys with it, so depth is bounded before anything is
// built.
bool TooDeep(absl::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return true;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text, absl::string_view what, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("parse ", what, ": ", text.size(), " bytes of JSON, at most ", max_bytes));
  }
  if (TooDeep(text)) {
    return absl::InvalidArgumentError(
        absl::StrCat("parse ", what, ": JSON nested deeper than ", kMaxDepth, " levels"));
  }
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("parse ", what, ": ", error.what()));
  }
}

std::string DumpJson(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace gantry
