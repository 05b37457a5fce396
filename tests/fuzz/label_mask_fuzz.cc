#include "services/metadata/label_mask.h"
#include "tests/fuzz/fuzz_input.h"

// The first line is the path of an update mask, then come a key and a value of the request and a
// key and a value of the record.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gantry;
  std::vector<std::string> lines = fuzz::Lines(data, size);
  lines.resize(5);
  const Labels from = {{lines[1], lines[2]}};
  const Labels before = {{lines[3], lines[4]}, {"kept", "as it is"}};
  Labels to = before;
  const bool applied = metadata::ApplyLabelPath(lines[0], from, &to);
  if (!applied) fuzz::Require(to == before);
  if (lines[0] == "labels") fuzz::Require(applied && to == from);
  if (lines[0].rfind("labels.", 0) == 0) {
    const std::string key = lines[0].substr(7);
    fuzz::Require(applied);
    // Nothing but that one key may differ.
    for (const auto& [other, value] : before) fuzz::Require(other == key || to.at(other) == value);
    const auto wanted = from.find(key);
    const bool removes = wanted == from.end() || wanted->second.empty();
    fuzz::Require(removes ? to.count(key) == 0 : to.at(key) == wanted->second);
  }
  (void)ValidateLabels(to);
  return 0;
}
