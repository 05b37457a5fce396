#ifndef GANTRY_SERVICES_METADATA_FILTER_H_
#define GANTRY_SERVICES_METADATA_FILTER_H_

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/identifiers.h"

namespace re2 {
class RE2;
}

namespace gantry::metadata {

// How a filter sees a record: the value at a field path ({"target", "digest"}, {"labels",
// "a.b/c"}), or nothing where there is none.
using Adaptor = std::function<std::optional<std::string>(std::span<const std::string> path)>;

// The value of a label path: what follows "labels", joined by dots, is the key.
std::optional<std::string> LabelField(const Labels& labels, std::span<const std::string> path);

// One filter of containerd's grammar: selectors joined by commas, all of which must match.
//   selector = path [ ("==" | "!=" | "~=") value ];  path = field *("." field)
// A selector without operator asks whether the field is there. Fields and values may be quoted with
// '"' (Go's escapes), values also with '/' or '|'. "~=" searches an RE2 expression. Source:
// containerd pkg/filters.
class Filter {
 public:
  // Errors: InvalidArgument that quotes the filter and says where and what. Bounded: 16 KiB, 256
  // expressions.
  static absl::StatusOr<Filter> Parse(absl::string_view text);
  [[nodiscard]] bool Match(const Adaptor& adaptor) const;

 private:
  friend class FilterParser;
  friend class FilterSet;
  enum class Operator { kPresent, kEqual, kNotEqual, kMatches };
  struct Selector {
    std::vector<std::string> path;
    Operator op = Operator::kPresent;
    std::string value;
    std::shared_ptr<const re2::RE2> expression;
  };
  std::vector<Selector> selectors_;
};

// A request's filters, any of which may match; none match all.
class FilterSet {
 public:
  // Bounded: 1 MiB, 1024 expressions. Errors: InvalidArgument.
  static absl::StatusOr<FilterSet> Parse(const std::vector<std::string>& texts);
  [[nodiscard]] bool Match(const Adaptor& adaptor) const;

 private:
  std::vector<Filter> filters_;
};

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_FILTER_H_
