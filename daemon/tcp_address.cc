#include "daemon/tcp_address.h"

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace gantry::daemon {
namespace {

absl::Status Bad(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text, "\" ", why, "; it is host:port, such as \"127.0.0.1:1338\""));
}

}  // namespace

absl::StatusOr<TcpAddress> ParseTcpAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return Bad(text, "has no port");
  absl::string_view host = text.substr(0, colon);
  const absl::string_view port = text.substr(colon + 1);
  uint32_t number = 0;
  if (port.empty() || !absl::c_all_of(port, absl::ascii_isdigit) ||
      !absl::SimpleAtoi(port, &number) || number > 65535) {
    return Bad(text, absl::StrCat("has the port \"", port, "\", which is no number up to 65535"));
  }
  if (absl::StartsWith(host, "[")) {
    if (!absl::EndsWith(host, "]")) return Bad(text, "has a bracket that is not closed");
    host = host.substr(1, host.size() - 2);
  } else if (absl::StrContains(host, ":")) {
    return Bad(text, "has more than one colon, and an IPv6 address must be in brackets");
  }
  for (const char c : host) {
    if (absl::ascii_isspace(c) || c == '/' || c == '\0') return Bad(text, "has no valid host");
  }
  return TcpAddress{std::string(host), static_cast<uint16_t>(number)};
}

}  // namespace gantry::daemon
