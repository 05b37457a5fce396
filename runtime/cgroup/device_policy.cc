#include "runtime/cgroup/device_policy.h"

#include <algorithm>
#include <array>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"

namespace gantry::runtime {
namespace {

constexpr absl::string_view kAllAccess = "rwm";

struct KnownDevice {
  const char* type;
  int major;  // -1: any
  int minor;
  const char* access;
};

constexpr std::array<KnownDevice, 11> kAlwaysAllowed = {{{"c", -1, -1, "m"},
                                                         {"b", -1, -1, "m"},
                                                         {"c", 1, 3, "rwm"},
                                                         {"c", 1, 5, "rwm"},
                                                         {"c", 1, 7, "rwm"},
                                                         {"c", 1, 8, "rwm"},
                                                         {"c", 1, 9, "rwm"},
                                                         {"c", 5, 0, "rwm"},
                                                         {"c", 5, 2, "rwm"},
                                                         {"c", 10, 200, "rwm"},
                                                         {"c", 136, -1, "rwm"}}};

// Letters of `access` in the kernel's order, those in `but` left out.
std::string Letters(absl::string_view access, absl::string_view but = "") {
  std::string letters;
  for (const char letter : kAllAccess) {
    if (access.find(letter) != absl::string_view::npos &&
        but.find(letter) == absl::string_view::npos) {
      letters += letter;
    }
  }
  return letters;
}

bool Covers(const std::optional<int64_t>& wide, const std::optional<int64_t>& narrow) {
  return !wide.has_value() || wide == narrow;
}

// Every device of `narrow` is one of `wide`'s.
bool Covers(const DeviceRule& wide, const DeviceRule& narrow) {
  return wide.type == narrow.type && Covers(wide.major, narrow.major) &&
         Covers(wide.minor, narrow.minor);
}

bool Meet(const std::optional<int64_t>& a, const std::optional<int64_t>& b) {
  return !a.has_value() || !b.has_value() || a == b;
}

void AddException(DevicePolicy& policy, const DeviceRule& rule) {
  for (DeviceRule& one : policy.exceptions) {
    if (Covers(one, rule) && Covers(rule, one)) {
      one.access = Letters(one.access + rule.access);
      return;
    }
  }
  policy.exceptions.push_back(rule);
}

absl::Status DropException(DevicePolicy& policy, const DeviceRule& rule) {
  for (const DeviceRule& one : policy.exceptions) {
    const bool shares_access = Letters(one.access, rule.access) != one.access;
    const bool overlap =
        one.type == rule.type && Meet(one.major, rule.major) && Meet(one.minor, rule.minor);
    if (shares_access && overlap && !Covers(rule, one)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", DeviceRuleText(rule), "\" would be a hole in the earlier \"",
                       DeviceRuleText(one), "\", which a device cgroup cannot express"));
    }
  }
  for (DeviceRule& one : policy.exceptions) {
    if (Covers(rule, one)) one.access = Letters(one.access, rule.access);
  }
  policy.exceptions.erase(std::remove_if(policy.exceptions.begin(), policy.exceptions.end(),
                                         [](const DeviceRule& one) { return one.access.empty(); }),
                          policy.exceptions.end());
  return absl::OkStatus();
}

absl::Status Take(DevicePolicy& policy, DeviceRule rule) {
  rule.access = rule.access.empty() ? std::string(kAllAccess) : Letters(rule.access);
  if (rule.type == "a") {
    if (!rule.major.has_value() && !rule.minor.has_value() && rule.access == kAllAccess) {
      policy = DevicePolicy{rule.allow, {}};
      return absl::OkStatus();
    }
    // The kernel takes any "a" for everything, whatever follows it.
    rule.type = "c";
    GANTRY_RETURN_IF_ERROR(Take(policy, rule));
    rule.type = "b";
  }
  if (rule.allow == policy.allow_by_default) return DropException(policy, rule);
  AddException(policy, rule);
  return absl::OkStatus();
}

std::optional<int64_t> Number(int number) {
  return number < 0 ? std::nullopt : std::optional<int64_t>(number);
}

}  // namespace

absl::StatusOr<DevicePolicy> BuildDevicePolicy(const std::vector<DeviceRule>& rules) {
  DevicePolicy policy;
  for (size_t i = 0; i < rules.size(); ++i) {
    GANTRY_RETURN_IF_ERROR(
        Annotate(Take(policy, rules[i]), absl::StrCat("linux.resources.devices[", i, "]")));
  }
  if (policy.allow_by_default) return policy;
  for (const KnownDevice& known : kAlwaysAllowed) {
    AddException(policy, DeviceRule{true, known.type, Number(known.major), Number(known.minor),
                                    known.access});
  }
  return policy;
}

std::string DeviceRuleText(const DeviceRule& rule) {
  const auto number = [](const std::optional<int64_t>& value) {
    return value.has_value() ? absl::StrCat(*value) : std::string("*");
  };
  return absl::StrCat(rule.type, " ", number(rule.major), ":", number(rule.minor), " ",
                      rule.access.empty() ? kAllAccess : absl::string_view(rule.access));
}

DevicePolicy ParseDevicesList(absl::string_view text) {
  DevicePolicy policy;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" :"));
    if (words.size() != 4) continue;
    if (words[0] == "a") {
      policy.allow_by_default = true;
      continue;
    }
    DeviceRule rule{true, words[0], std::nullopt, std::nullopt, Letters(words[3])};
    int64_t number = 0;
    if (absl::SimpleAtoi(words[1], &number)) rule.major = number;
    if (absl::SimpleAtoi(words[2], &number)) rule.minor = number;
    policy.exceptions.push_back(std::move(rule));
  }
  return policy;
}

}  // namespace gantry::runtime
