#include "base/digest.h"
#include "base/identifiers.h"
#include "base/time.h"
#include "tests/fuzz/fuzz_input.h"

// What clients name things by: identifiers, digests and times.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gantry;
  const absl::string_view text = fuzz::Text(data, size);
  if (ValidateIdentifier("id", text).ok()) {
    // Nothing that could be a path or end a line.
    fuzz::Require(!text.empty() && text.size() <= 76);
    for (const char c : text) {
      fuzz::Require((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-');
    }
    fuzz::Require(text.find("..") == absl::string_view::npos);
  }
  const absl::StatusOr<Digest> digest = Digest::Parse(text);
  if (digest.ok()) {
    fuzz::Require(digest->text() == text && digest->hex().find('/') == absl::string_view::npos);
  }
  const absl::StatusOr<absl::Time> time = ParseRfc3339(text);
  if (time.ok()) fuzz::Require(*ParseRfc3339(FormatRfc3339(*time)) == *time);
  return 0;
}
