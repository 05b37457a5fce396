#include "services/introspection/plugin_registry.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/random.h"
#include "services/metadata/filter.h"

namespace gantry::introspection {
namespace {

std::optional<std::string> FieldOf(const Plugin& plugin, std::span<const std::string> path) {
  if (path.empty()) return std::nullopt;
  if (path[0] == "type") return plugin.type;
  if (path[0] == "id") return plugin.id;
  if (path[0] == "platforms") {
    return absl::StrJoin(plugin.platforms, ",", [](std::string* out, const Platform& platform) {
      absl::StrAppend(out, platform.os, "/", platform.architecture);
    });
  }
  if (path[0] == "capabilities") {
    const std::string name = absl::StrJoin(path.subspan(1), ".");
    const auto found = std::find(plugin.capabilities.begin(), plugin.capabilities.end(), name);
    if (found != plugin.capabilities.end()) return name;
  }
  return std::nullopt;
}

bool LooksLikeUuid(absl::string_view text) {
  return text.size() == 36 &&
         text.find_first_not_of("0123456789abcdef-") == absl::string_view::npos;
}

}  // namespace

absl::StatusOr<std::vector<Plugin>> PluginRegistry::List(
    const std::vector<std::string>& filters) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::vector<Plugin> matching;
  for (const Plugin& plugin : plugins_) {
    if (set.Match([&](std::span<const std::string> path) { return FieldOf(plugin, path); })) {
      matching.push_back(plugin);
    }
  }
  return matching;
}

absl::StatusOr<Plugin> PluginRegistry::Get(absl::string_view type, absl::string_view id) const {
  for (const Plugin& plugin : plugins_) {
    if (plugin.type == type && plugin.id == id) return plugin;
  }
  return absl::NotFoundError(absl::StrCat("plugin ", type, ".", id, ": not found"));
}

absl::StatusOr<std::string> LoadOrCreateUuid(const std::string& root) {
  const std::string path = absl::StrCat(root, "/uuid");
  absl::StatusOr<std::string> kept = ReadFile(path, 4096);
  if (kept.ok()) {
    const std::string uuid(absl::StripSuffix(*kept, "\n"));
    if (LooksLikeUuid(uuid)) return uuid;
    return absl::DataLossError(
        absl::StrCat(path, " does not hold a UUID; remove it to get a new one"));
  }
  if (!absl::IsNotFound(kept.status())) return kept.status();
  std::string uuid = RandomUuid();
  GANTRY_RETURN_IF_ERROR(
      WriteFileAtomic(path, absl::StrCat(uuid, "\n"), 0644, Durability::kDurable));
  return uuid;
}

absl::StatusOr<uint64_t> PidNamespace() {
  struct stat info;
  if (::stat("/proc/self/ns/pid", &info) != 0) return ErrnoError(errno, "stat /proc/self/ns/pid");
  return info.st_ino;
}

Platform HostPlatform() {
#if defined(__x86_64__)
  return {"linux", "amd64"};
#elif defined(__aarch64__)
  return {"linux", "arm64"};
#else
#error "name this architecture as Go does"
#endif
}

}  // namespace gantry::introspection
