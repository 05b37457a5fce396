#include "cli/flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "cli/command.h"

namespace gantry::cli {

struct Flags::Parser {
  CLI::App app;
  Order order;

  [[nodiscard]] const CLI::Option* Find(const std::string& name) const {
    return app.get_option_no_throw(name);
  }

  // Go's spellings to those that CLI11 knows: `-name` to `--name`, `-x=value` to `-x value`.
  [[nodiscard]] std::vector<std::string> Normalize(const std::vector<std::string>& args) const;
};

std::vector<std::string> Flags::Parser::Normalize(const std::vector<std::string>& args) const {
  std::vector<std::string> out;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    const bool is_flag = arg.size() > 1 && arg[0] == '-';
    if (arg == "--" || (!is_flag && order == Order::kBeforeArguments)) {
      out.insert(out.end(), args.begin() + static_cast<std::ptrdiff_t>(i), args.end());
      break;
    }
    if (!is_flag) {
      out.push_back(arg);
      continue;
    }
    const size_t equal = arg.find('=');
    std::string name = arg.substr(0, equal);
    const bool has_value = equal != std::string::npos;
    if (name[1] != '-' && name.size() > 2 && Find(absl::StrCat("-", name)) != nullptr) {
      name = absl::StrCat("-", name);
    }
    const CLI::Option* option = Find(name);
    const bool takes_value = option != nullptr && option->get_expected_min() > 0;
    if (takes_value && has_value) {
      out.push_back(name);
      out.push_back(arg.substr(equal + 1));
      continue;
    }
    out.push_back(has_value ? absl::StrCat(name, arg.substr(equal)) : name);
    // Its value is not looked into: it may begin with a dash.
    if (takes_value && i + 1 < args.size()) out.push_back(args[++i]);
  }
  return out;
}

Flags::Flags(Order order) : parser_(std::make_unique<Parser>()) {
  parser_->order = order;
  parser_->app.set_help_flag();
  if (order == Order::kBeforeArguments) {
    parser_->app.prefix_command();
  } else {
    parser_->app.allow_extras();
  }
}

Flags::~Flags() = default;

void Flags::Bool(const std::string& names, bool* out) { parser_->app.add_flag(names, *out); }
void Flags::Text(const std::string& names, std::string* out) {
  parser_->app.add_option(names, *out);
}
void Flags::Number(const std::string& names, int64_t* out) { parser_->app.add_option(names, *out); }
void Flags::Texts(const std::string& names, std::vector<std::string>* out) {
  parser_->app.add_option(names, *out)->allow_extra_args(false);
}

absl::StatusOr<std::vector<std::string>> Flags::Parse(std::vector<std::string> args) {
  args = parser_->Normalize(args);
  std::reverse(args.begin(), args.end());  // CLI11 takes them from the end
  try {
    parser_->app.parse(std::move(args));
  } catch (const CLI::Error& error) {
    return UsageError(error.what());
  }
  std::vector<std::string> rest = parser_->app.remaining();
  const size_t looked_at =
      parser_->order == Order::kBeforeArguments && !rest.empty() ? 1 : rest.size();
  for (size_t i = 0; i < looked_at; ++i) {
    if (rest[i].size() < 2 || rest[i][0] != '-' || rest[i] == "--") continue;
    const std::string name = rest[i].substr(rest[i].find_first_not_of('-'));
    return UsageError(
        absl::StrCat("flag provided but not defined: -", name.substr(0, name.find('='))));
  }
  return rest;
}

}  // namespace gantry::cli
