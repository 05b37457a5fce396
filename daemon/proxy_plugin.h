#ifndef GANTRY_DAEMON_PROXY_PLUGIN_H_
#define GANTRY_DAEMON_PROXY_PLUGIN_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace gantry::daemon {

enum class ProxyType { kContent, kSnapshot, kDiff };

// A service of the contract that another process serves for this daemon: containerd's table
// [proxy_plugins.NAME].
struct ProxyPlugin {
  std::string name;
  std::string type;      // "content", "snapshot", "diff", or containerd's long names of them
  std::string address;   // path of a unix socket; "unix://" may stand before it
  std::string platform;  // "linux/arm64"; empty: this machine's
  std::map<std::string, std::string> exports;
  std::vector<std::string> capabilities;

  // Of a plugin that is valid.
  [[nodiscard]] ProxyType Type() const;
  [[nodiscard]] std::string SocketPath() const;

  bool operator==(const ProxyPlugin&) const = default;
};

// Errors: InvalidArgument that names the key, also for a second one where there can be but one, and
// for a name that a snapshotter of gantry's own has.
absl::Status ValidateProxyPlugins(const std::vector<ProxyPlugin>& plugins);

// Null if there is none.
const ProxyPlugin* FindProxy(const std::vector<ProxyPlugin>& plugins, ProxyType type);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_PROXY_PLUGIN_H_
