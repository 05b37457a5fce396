#include "services/metadata/filter.h"

#include <re2/re2.h>

#include <algorithm>

#include "absl/strings/str_join.h"
#include "base/errors.h"

namespace gantry::metadata {

std::optional<std::string> LabelField(const Labels& labels, std::span<const std::string> path) {
  const auto found = labels.find(absl::StrJoin(path, "."));
  if (found == labels.end()) return std::nullopt;
  return found->second;
}

bool Filter::Match(const Adaptor& adaptor) const {
  return std::all_of(selectors_.begin(), selectors_.end(), [&adaptor](const Selector& selector) {
    const std::optional<std::string> value = adaptor(selector.path);
    switch (selector.op) {
      case Operator::kPresent:
        return value.has_value();
      case Operator::kEqual:
        return value.has_value() && *value == selector.value;
      case Operator::kNotEqual:
        return value.value_or("") != selector.value;
      case Operator::kMatches:
        return re2::RE2::PartialMatch(value.value_or(""), *selector.expression);
    }
    return false;
  });
}

absl::StatusOr<FilterSet> FilterSet::Parse(const std::vector<std::string>& texts) {
  FilterSet set;
  for (const std::string& text : texts) {
    GANTRY_ASSIGN_OR_RETURN(Filter filter, Filter::Parse(text));
    set.filters_.push_back(std::move(filter));
  }
  return set;
}

bool FilterSet::Match(const Adaptor& adaptor) const {
  if (filters_.empty()) return true;
  return std::any_of(filters_.begin(), filters_.end(),
                     [&](const Filter& filter) { return filter.Match(adaptor); });
}

}  // namespace gantry::metadata
