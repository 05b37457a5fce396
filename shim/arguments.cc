#include "shim/arguments.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace gantry::shim {

absl::StatusOr<ShimArguments> ParseArguments(int argc, const char* const* argv) {
  ShimArguments arguments;
  int at = 1;
  for (; at < argc; ++at) {
    absl::string_view text = argv[at];
    if (text.size() < 2 || text[0] != '-') break;
    absl::ConsumePrefix(&text, "-");
    absl::ConsumePrefix(&text, "-");
    const size_t equals = text.find('=');
    const absl::string_view name = text.substr(0, equals);
    const bool has_value = equals != absl::string_view::npos;
    const std::string given(has_value ? text.substr(equals + 1) : absl::string_view());
    bool* const flag = name == "debug"  ? &arguments.debug
                       : name == "v"    ? &arguments.version
                       : name == "info" ? &arguments.info
                                        : nullptr;
    if (flag != nullptr) {
      *flag = !has_value || given == "true" || given == "1";
      continue;
    }
    std::string* const value = name == "namespace"        ? &arguments.ns
                               : name == "id"             ? &arguments.id
                               : name == "address"        ? &arguments.address
                               : name == "publish-binary" ? &arguments.publish_binary
                               : name == "socket"         ? &arguments.socket
                               : name == "bundle"         ? &arguments.bundle
                                                          : nullptr;
    if (value == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("flag -", name, " is not known"));
    }
    if (!has_value && at + 1 == argc) {
      return absl::InvalidArgumentError(absl::StrCat("flag -", name, " needs a value"));
    }
    *value = has_value ? given : argv[++at];
  }
  if (at < argc) arguments.action = argv[at];
  return arguments;
}

}  // namespace gantry::shim
