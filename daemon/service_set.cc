#include "daemon/service_set.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace gantry::daemon {
namespace {

// By the number of the enum.
constexpr const char* kNames[kServiceCount] = {"containers", "content",   "diff",
                                               "events",     "images",    "leases",
                                               "namespaces", "snapshots", "tasks"};

}  // namespace

absl::StatusOr<ServiceSet> ServiceSet::Parse(absl::string_view list) {
  ServiceSet set;
  set.members_.reset();
  for (absl::string_view name : absl::StrSplit(list, ',')) {
    name = absl::StripAsciiWhitespace(name);
    const auto* const found = std::find(std::begin(kNames), std::end(kNames), name);
    if (found == std::end(kNames)) {
      return absl::InvalidArgumentError(
          absl::StrCat("services: \"", name, "\" is none of ", absl::StrJoin(kNames, ", ")));
    }
    set.members_.set(static_cast<size_t>(found - std::begin(kNames)));
  }
  // A task is made from its container's record, and clients learn of its exit from an event.
  for (const Service needed : {Service::kContainers, Service::kEvents}) {
    if (set.Has(Service::kTasks) && !set.Has(needed)) {
      return absl::InvalidArgumentError(absl::StrCat("services: tasks cannot be served without ",
                                                     kNames[static_cast<size_t>(needed)]));
    }
  }
  return set;
}

std::string ServiceSet::Text() const {
  std::vector<absl::string_view> names;
  for (size_t i = 0; i < kServiceCount; ++i) {
    if (members_.test(i)) names.emplace_back(kNames[i]);
  }
  return absl::StrJoin(names, ",");
}

}  // namespace gantry::daemon
