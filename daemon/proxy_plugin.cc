#include "daemon/proxy_plugin.h"

#include <sys/un.h>

#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/identifiers.h"

namespace gantry::daemon {
namespace {

std::optional<ProxyType> TypeOf(absl::string_view text) {
  if (text == "content" || text == "io.containerd.content.v1") return ProxyType::kContent;
  if (text == "snapshot" || text == "io.containerd.snapshotter.v1") return ProxyType::kSnapshot;
  if (text == "diff" || text == "io.containerd.differ.v1") return ProxyType::kDiff;
  return std::nullopt;
}

absl::Status Validate(const ProxyPlugin& plugin) {
  const std::string key = absl::StrCat("proxy_plugins.", plugin.name);
  GANTRY_RETURN_IF_ERROR(Annotate(ValidateIdentifier("name", plugin.name), key));
  if (!TypeOf(plugin.type)) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, ".type: \"", plugin.type, "\" is none of content, snapshot, diff"));
  }
  const std::string path = plugin.SocketPath();
  if (path.empty() || path.front() != '/' || path.size() >= sizeof(sockaddr_un{}.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(
        key, ".address: \"", plugin.address, "\" must be the path of a unix socket, of ",
        sizeof(sockaddr_un{}.sun_path) - 1, " bytes at most"));
  }
  if (!plugin.platform.empty() && plugin.platform.find('/') == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(key, ".platform: \"", plugin.platform, "\" is not of the form linux/amd64"));
  }
  return absl::OkStatus();
}

}  // namespace

ProxyType ProxyPlugin::Type() const { return *TypeOf(type); }

std::string ProxyPlugin::SocketPath() const {
  return std::string(absl::StripPrefix(address, "unix://"));
}

absl::Status ValidateProxyPlugins(const std::vector<ProxyPlugin>& plugins) {
  std::set<ProxyType> only_one;
  for (const ProxyPlugin& plugin : plugins) {
    GANTRY_RETURN_IF_ERROR(Validate(plugin));
    const std::string key = absl::StrCat("proxy_plugins.", plugin.name);
    if (plugin.Type() == ProxyType::kSnapshot) {
      if (plugin.name == "overlayfs" || plugin.name == "native") {
        return absl::InvalidArgumentError(
            absl::StrCat(key, ": gantryd has a snapshotter of that name itself"));
      }
    } else if (!only_one.insert(plugin.Type()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(key, ": there is another proxy plugin of type ", plugin.type));
    }
  }
  return absl::OkStatus();
}

const ProxyPlugin* FindProxy(const std::vector<ProxyPlugin>& plugins, ProxyType type) {
  for (const ProxyPlugin& plugin : plugins) {
    if (plugin.Type() == type) return &plugin;
  }
  return nullptr;
}

}  // namespace gantry::daemon
