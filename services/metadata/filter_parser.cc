#include <re2/re2.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/errors.h"
#include "services/metadata/filter.h"

namespace gantry::metadata {
namespace {

constexpr size_t kMaxFilter = 16384;
constexpr int64_t kExpressionMemory = 1 << 20;
constexpr size_t kMaxExpressions = 256;

bool IsFieldCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

}  // namespace

// A recursive descent over one filter; `rest_` shrinks as it goes.
class FilterParser {
 public:
  explicit FilterParser(absl::string_view text) : text_(text), rest_(text) {}

  absl::StatusOr<Filter> Run() {
    if (text_.size() > kMaxFilter) {
      return absl::InvalidArgumentError(absl::StrCat("filter of ", text_.size(), " bytes, at most ",
                                                     kMaxFilter, ": invalid argument"));
    }
    Filter filter;
    if (text_.empty()) return filter;
    for (;;) {
      GANTRY_ASSIGN_OR_RETURN(Filter::Selector selector, ParseSelector());
      filter.selectors_.push_back(std::move(selector));
      SkipSpace();
      if (rest_.empty()) return filter;
      if (!Take(",")) return Error("expected a comma or the end");
    }
  }

 private:
  absl::StatusOr<Filter::Selector> ParseSelector() {
    Filter::Selector selector;
    do {
      GANTRY_ASSIGN_OR_RETURN(std::string field, ParseField());
      selector.path.push_back(std::move(field));
    } while (Take("."));
    if (Take("==")) {
      selector.op = Filter::Operator::kEqual;
    } else if (Take("!=")) {
      selector.op = Filter::Operator::kNotEqual;
    } else if (Take("~=")) {
      selector.op = Filter::Operator::kMatches;
    } else {
      return selector;
    }
    GANTRY_ASSIGN_OR_RETURN(selector.value, ParseValue(selector.op == Filter::Operator::kMatches));
    if (selector.op == Filter::Operator::kMatches) {
      if (++expressions_ > kMaxExpressions) {
        return Error(absl::StrCat("more than ", kMaxExpressions, " expressions"));
      }
      re2::RE2::Options options;
      options.set_log_errors(false);
      options.set_max_mem(kExpressionMemory);
      auto expression = std::make_shared<re2::RE2>(selector.value, options);
      if (!expression->ok()) return Error(absl::StrCat("bad expression: ", expression->error()));
      selector.expression = std::move(expression);
    }
    return selector;
  }

  absl::StatusOr<std::string> ParseField() {
    SkipSpace();
    if (!rest_.empty() && rest_[0] == '"') return ParseQuoted();
    size_t size = 0;
    while (size < rest_.size() && IsFieldCharacter(rest_[size])) ++size;
    if (size == 0) return Error("expected a field");
    const std::string field(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return field;
  }

  absl::StatusOr<std::string> ParseValue(bool expression) {
    SkipSpace();
    if (!rest_.empty() && rest_[0] == '"') return ParseQuoted();
    if (expression && !rest_.empty() && (rest_[0] == '/' || rest_[0] == '|'))
      return ParseDelimited();
    size_t size = 0;
    while (size < rest_.size() && rest_[size] != ',' &&
           !absl::ascii_isspace(static_cast<unsigned char>(rest_[size]))) {
      ++size;
    }
    if (size == 0) return Error("expected a value");
    const std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }

  // "..." with Go's escapes, which C's cover but for \u of surrogates.
  absl::StatusOr<std::string> ParseQuoted() {
    size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) return Error("a quote is not closed");
    std::string value;
    std::string error;
    if (!absl::CUnescape(rest_.substr(1, end - 1), &value, &error)) return Error(error);
    rest_.remove_prefix(end + 1);
    return value;
  }

  // /.../ or |...|, where only the delimiter itself is escaped; the rest belongs to the expression.
  absl::StatusOr<std::string> ParseDelimited() {
    const char delimiter = rest_[0];
    std::string value;
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == delimiter) {
        rest_.remove_prefix(i + 1);
        return value;
      }
      if (rest_[i] == '\\' && i + 1 < rest_.size()) {
        if (rest_[i + 1] != delimiter) value.push_back('\\');
        ++i;
      }
      value.push_back(rest_[i]);
    }
    return Error("a delimiter is not closed");
  }

  // White space may stand between any two tokens: Go's client writes "type==a, id==b".
  void SkipSpace() {
    while (!rest_.empty() && absl::ascii_isspace(static_cast<unsigned char>(rest_[0])))
      rest_.remove_prefix(1);
  }

  bool Take(absl::string_view token) {
    SkipSpace();
    if (rest_.substr(0, token.size()) != token) return false;
    rest_.remove_prefix(token.size());
    return true;
  }

  absl::Status Error(absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("filter \"", absl::CHexEscape(text_.substr(0, 200)), "\" at ",
                     text_.size() - rest_.size(), ": ", what, ": invalid argument"));
  }

  const absl::string_view text_;
  absl::string_view rest_;
  size_t expressions_ = 0;
};

absl::StatusOr<Filter> Filter::Parse(absl::string_view text) { return FilterParser(text).Run(); }

}  // namespace gantry::metadata
