#include "services/tasks/shim_answer.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/json.h"

namespace gantry::tasks {
namespace {

constexpr size_t kMostBytes = 1 << 16;

absl::StatusOr<ShimAnswer> FromAddress(absl::string_view address, int version) {
  absl::string_view path = address;
  if (!absl::ConsumePrefix(&path, "unix://") || path.empty() || path[0] != '/' ||
      path.find('\n') != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("shim's address \"", address.substr(0, 200), "\" is no unix:///path"));
  }
  return ShimAnswer{std::string(path), version};
}

}  // namespace

absl::StatusOr<ShimAnswer> ParseShimAnswer(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (text.empty() || text[0] != '{') return FromAddress(text, 2);
  GANTRY_ASSIGN_OR_RETURN(const Json json, ParseJson(text, "shim's answer", kMostBytes));
  const auto string = [&json](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto version = json.find("version");
  const int64_t number =
      version != json.end() && version->is_number_integer() ? version->get<int64_t>() : 0;
  if (number != 2 && number != 3) {
    return absl::UnimplementedError(
        absl::StrCat("shim's version is ", number, ", 2 and 3 are spoken here"));
  }
  if (const std::string protocol = string("protocol"); !protocol.empty() && protocol != "ttrpc") {
    return absl::UnimplementedError(
        absl::StrCat("shim's protocol is \"", protocol, "\", only ttrpc is spoken here"));
  }
  return FromAddress(string("address"), static_cast<int>(number));
}

}  // namespace gantry::tasks
