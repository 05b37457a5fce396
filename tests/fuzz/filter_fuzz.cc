#include "services/metadata/filter.h"
#include "tests/fuzz/fuzz_input.h"

// The last line is a label's value, the lines before it are a request's filters.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gantry;
  std::vector<std::string> filters = fuzz::Lines(data, size);
  const Labels labels = {{"a", filters.back()}, {"a.b/c", filters.back()}};
  filters.pop_back();
  const metadata::Adaptor adaptor =
      [&](std::span<const std::string> path) -> std::optional<std::string> {
    fuzz::Require(!path.empty());
    if (path[0] == "name") return labels.at("a");
    if (path[0] == "labels") return metadata::LabelField(labels, path.subspan(1));
    return std::nullopt;
  };
  bool any = filters.empty();
  bool all_parsed = true;
  for (const std::string& text : filters) {
    const absl::StatusOr<metadata::Filter> filter = metadata::Filter::Parse(text);
    all_parsed = all_parsed && filter.ok();
    any = any || (filter.ok() && filter->Match(adaptor));
  }
  const absl::StatusOr<metadata::FilterSet> set = metadata::FilterSet::Parse(filters);
  if (set.ok()) {
    fuzz::Require(all_parsed && set->Match(adaptor) == any);
  } else {
    fuzz::Require(absl::IsInvalidArgument(set.status()));
  }
  return 0;
}
