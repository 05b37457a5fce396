#include "services/diff/entry.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace gantry::diff {

std::string QuotedName(absl::string_view name) {
  constexpr size_t kMost = 256;
  return absl::StrCat("\"", absl::CHexEscape(name.substr(0, kMost)),
                      name.size() > kMost ? "\"..." : "\"");
}

}  // namespace gantry::diff
