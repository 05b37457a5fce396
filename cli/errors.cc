#include "cli/errors.h"

#include <cstring>

#include "absl/strings/ascii.h"
#include "base/errors.h"

namespace gantry::cli {

absl::Status ErrnoWords(int error, absl::string_view what) {
  std::string text = std::strerror(error);
  if (!text.empty()) text[0] = absl::ascii_tolower(text[0]);
  return absl::Status(ErrnoError(error, what).code(), absl::StrCat(what, ": ", text));
}

}  // namespace gantry::cli
