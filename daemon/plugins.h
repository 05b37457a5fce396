#ifndef GANTRY_DAEMON_PLUGINS_H_
#define GANTRY_DAEMON_PLUGINS_H_

#include <string>
#include <vector>

#include "daemon/config.h"
#include "services/introspection/plugin_registry.h"

namespace gantry::daemon {

struct PluginPaths {
  std::string root;       // of content
  std::string snapshots;  // of the overlayfs snapshotter
  std::string native;     // and of the native one
  std::string state;      // of tasks
  // What the overlayfs snapshotter can.
  std::vector<std::string> overlayfs_capabilities = {};
};

// The parts of a daemon that runs by `config`, under the names that containerd gives them, so that
// clients which ask for a snapshotter's platforms or a service's presence find what they look for.
introspection::PluginRegistry DescribePlugins(const PluginPaths& paths, const Config& config);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_PLUGINS_H_
