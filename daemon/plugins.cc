#include "daemon/plugins.h"

namespace gantry::daemon {

introspection::PluginRegistry DescribePlugins(const PluginPaths& paths) {
  introspection::PluginRegistry registry;
  const std::vector<introspection::Platform> here = {introspection::HostPlatform()};
  registry.Add(
      {.type = "io.containerd.content.v1", .id = "content", .exports = {{"root", paths.root}}});
  registry.Add({.type = "io.containerd.snapshotter.v1",
                .id = "overlayfs",
                .platforms = here,
                .exports = {{"root", paths.snapshots}}});
  // The name that clients filter by; the store behind it is LMDB.
  registry.Add({.type = "io.containerd.metadata.v1",
                .id = "bolt",
                .requires_types = {"io.containerd.content.v1", "io.containerd.snapshotter.v1"},
                .exports = {{"policy", "shared"}}});
  registry.Add({.type = "io.containerd.differ.v1",
                .id = "walking",
                .requires_types = {"io.containerd.metadata.v1"},
                .platforms = here});
  registry.Add({.type = "io.containerd.event.v1", .id = "exchange"});
  registry.Add({.type = "io.containerd.gc.v1",
                .id = "scheduler",
                .requires_types = {"io.containerd.metadata.v1"},
                .init_error = absl::UnimplementedError("garbage is not collected yet")});
  registry.Add({.type = "io.containerd.lease.v1",
                .id = "manager",
                .requires_types = {"io.containerd.metadata.v1"}});
  registry.Add({.type = "io.containerd.runtime.v2",
                .id = "task",
                .requires_types = {"io.containerd.event.v1", "io.containerd.metadata.v1"},
                .platforms = here,
                .exports = {{"state", paths.state}}});
  for (const char* id :
       {"containers-service", "content-service", "diff-service", "images-service",
        "introspection-service", "namespaces-service", "snapshots-service", "tasks-service"}) {
    registry.Add({.type = "io.containerd.service.v1",
                  .id = id,
                  .requires_types = {"io.containerd.metadata.v1"}});
  }
  for (const char* id :
       {"containers", "content", "diff", "events", "healthcheck", "images", "introspection",
        "leases", "namespaces", "snapshots", "tasks", "version"}) {
    registry.Add({.type = "io.containerd.grpc.v1",
                  .id = id,
                  .requires_types = {"io.containerd.service.v1"}});
  }
  return registry;
}

}  // namespace gantry::daemon
