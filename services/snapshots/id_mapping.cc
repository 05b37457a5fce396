#include "services/snapshots/id_mapping.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"

namespace gantry::snapshots {
namespace {

constexpr char kUidLabel[] = "containerd.io/snapshot/uidmapping";
constexpr char kGidLabel[] = "containerd.io/snapshot/gidmapping";

absl::StatusOr<uint32_t> HostOfRoot(absl::string_view label, absl::string_view mapping) {
  std::optional<uint32_t> host;
  for (const absl::string_view range : absl::StrSplit(mapping, ',')) {
    const std::vector<absl::string_view> parts = absl::StrSplit(range, ':');
    uint32_t first = 0;
    uint32_t mapped = 0;
    uint32_t size = 0;
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &first) ||
        !absl::SimpleAtoi(parts[1], &mapped) || !absl::SimpleAtoi(parts[2], &size) || size == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("label ", label, " \"", mapping, "\": want CONTAINER:HOST:SIZE,..."));
    }
    if (first == 0) host = mapped;
  }
  if (!host.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("label ", label, " \"", mapping, "\": maps no id to the container's root"));
  }
  return *host;
}

}  // namespace

std::vector<std::string> IdMapOptions(const Labels& labels) {
  const auto uid = labels.find(kUidLabel);
  const auto gid = labels.find(kGidLabel);
  if (uid == labels.end() || gid == labels.end()) return {};
  return {absl::StrCat("uidmap=", uid->second), absl::StrCat("gidmap=", gid->second)};
}

absl::StatusOr<std::optional<Owner>> RootOwner(const Labels& labels) {
  const auto uid = labels.find(kUidLabel);
  const auto gid = labels.find(kGidLabel);
  if (uid == labels.end() && gid == labels.end()) return std::optional<Owner>();
  if (uid == labels.end() || gid == labels.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("labels ", kUidLabel, " and ", kGidLabel, ": want both or none"));
  }
  Owner owner;
  GANTRY_ASSIGN_OR_RETURN(owner.uid, HostOfRoot(kUidLabel, uid->second));
  GANTRY_ASSIGN_OR_RETURN(owner.gid, HostOfRoot(kGidLabel, gid->second));
  return std::optional<Owner>(owner);
}

}  // namespace gantry::snapshots
