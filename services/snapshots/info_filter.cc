#include "services/snapshots/info_filter.h"

namespace gantry::snapshots {
namespace {

absl::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kView:
      return "view";
    case Kind::kActive:
      return "active";
    case Kind::kCommitted:
      return "committed";
    case Kind::kUnknown:
      break;
  }
  return "unknown";
}

}  // namespace

metadata::Adaptor AdaptorOf(const Info& info) {
  return [&info](std::span<const std::string> path) -> std::optional<std::string> {
    if (path.empty()) return std::nullopt;
    if (path[0] == "name") return info.name;
    if (path[0] == "parent") return info.parent;
    if (path[0] == "kind") return std::string(KindName(info.kind));
    if (path[0] == "labels") return metadata::LabelField(info.labels, path.subspan(1));
    return std::nullopt;
  };
}

}  // namespace gantry::snapshots
