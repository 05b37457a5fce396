#include "services/metadata/label_mask.h"

#include "absl/strings/strip.h"

namespace gantry::metadata {

bool ApplyLabelPath(absl::string_view path, const Labels& from, Labels* to) {
  if (path == "labels") {
    *to = from;
    return true;
  }
  if (!absl::ConsumePrefix(&path, "labels.")) return false;
  const std::string key(path);
  const auto found = from.find(key);
  if (found == from.end() || found->second.empty()) {
    to->erase(key);
  } else {
    (*to)[key] = found->second;
  }
  return true;
}

}  // namespace gantry::metadata
