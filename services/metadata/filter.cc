#include "services/metadata/filter.h"

#include <re2/re2.h>

#include <algorithm>

#include "absl/strings/str_join.h"
#include "base/errors.h"

namespace gantry::metadata {
namespace {

// Of all filters of a request; one is at most 16 KiB and has at most 256 expressions.
constexpr size_t kMaxBytes = 1 << 20;
constexpr size_t kMaxExpressions = 1024;

}  // namespace

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
  size_t bytes = 0;
  size_t expressions = 0;
  for (const std::string& text : texts) {
    GANTRY_ASSIGN_OR_RETURN(Filter filter, Filter::Parse(text));
    bytes += text.size();
    expressions += static_cast<size_t>(std::count_if(
        filter.selectors_.begin(), filter.selectors_.end(),
        [](const Filter::Selector& selector) { return selector.expression != nullptr; }));
    if (bytes > kMaxBytes || expressions > kMaxExpressions) {
      return absl::InvalidArgumentError(
          absl::StrCat("filters of more than ", kMaxBytes, " bytes or ", kMaxExpressions,
                       " expressions in one request: invalid argument"));
    }
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
