#include "daemon/plugins.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace gantry::daemon {
namespace {

using introspection::PluginRegistry;

// Whether its other process is there is found out when it is called.
void AddProxy(const ProxyPlugin& proxy, PluginRegistry* registry) {
  introspection::Plugin plugin = {
      .id = proxy.name, .exports = proxy.exports, .capabilities = proxy.capabilities};
  plugin.exports["address"] = proxy.address;
  introspection::Platform platform = introspection::HostPlatform();
  if (!proxy.platform.empty()) {
    const std::vector<std::string> words = absl::StrSplit(proxy.platform, '/');
    platform = {.os = words[0], .architecture = words[1]};
  }
  switch (proxy.Type()) {
    case ProxyType::kContent:
      plugin.type = "io.containerd.content.v1";
      break;
    case ProxyType::kSnapshot:
      plugin.type = "io.containerd.snapshotter.v1";
      plugin.platforms = {platform};
      break;
    case ProxyType::kDiff:
      plugin.type = "io.containerd.differ.v1";
      plugin.platforms = {platform};
      break;
  }
  registry->Add(std::move(plugin));
}

// What the services are made of.
void AddParts(const PluginPaths& paths, const Config& config, PluginRegistry* registry) {
  const ServiceSet& served = config.services;
  const std::vector<ProxyPlugin>& proxies = config.proxy_plugins;
  const std::vector<introspection::Platform> here = {introspection::HostPlatform()};
  if (served.Has(Service::kContent) && FindProxy(proxies, ProxyType::kContent) == nullptr) {
    registry->Add({.type = "io.containerd.content.v1",
                   .id = "content",
                   .exports = {{"root", paths.root + "/content"}}});
  }
  if (served.Has(Service::kSnapshots)) {
    registry->Add({.type = "io.containerd.snapshotter.v1",
                   .id = "overlayfs",
                   .platforms = here,
                   .exports = {{"root", paths.snapshots}},
                   .capabilities = paths.overlayfs_capabilities});
    registry->Add({.type = "io.containerd.snapshotter.v1",
                   .id = "native",
                   .platforms = here,
                   .exports = {{"root", paths.native}}});
  }
  // The name that clients filter by; the store behind it is LMDB.
  registry->Add({.type = "io.containerd.metadata.v1",
                 .id = "bolt",
                 .requires_types = {"io.containerd.content.v1", "io.containerd.snapshotter.v1"},
                 .exports = {{"policy", config.content_sharing_policy}}});
  if (served.Has(Service::kDiff) && FindProxy(proxies, ProxyType::kDiff) == nullptr) {
    registry->Add({.type = "io.containerd.differ.v1",
                   .id = "walking",
                   .requires_types = {"io.containerd.metadata.v1"},
                   .platforms = here});
  }
  registry->Add({.type = "io.containerd.event.v1", .id = "exchange"});
  registry->Add({.type = "io.containerd.gc.v1",
                 .id = "scheduler",
                 .requires_types = {"io.containerd.metadata.v1"},
                 .exports = {{"PauseThreshold", absl::StrCat(config.gc.pause_threshold)},
                             {"DeletionThreshold", absl::StrCat(config.gc.deletion_threshold)},
                             {"MutationThreshold", absl::StrCat(config.gc.mutation_threshold)},
                             {"ScheduleDelay", absl::FormatDuration(config.gc.schedule_delay)}}});
  if (served.Has(Service::kLeases)) {
    registry->Add({.type = "io.containerd.lease.v1",
                   .id = "manager",
                   .requires_types = {"io.containerd.metadata.v1"}});
  }
  if (served.Has(Service::kTasks)) {
    registry->Add({.type = "io.containerd.runtime.v2",
                   .id = "task",
                   .requires_types = {"io.containerd.event.v1", "io.containerd.metadata.v1"},
                   .platforms = here,
                   .exports = {{"state", paths.state}}});
  }
}

// containerd lists a service twice: what it does, and that it is served by gRPC.
struct Served {
  const char* id;
  std::optional<Service> service;  // none: always there
  bool has_service_plugin;
};

constexpr Served kServed[] = {
    {"containers", Service::kContainers, true},
    {"content", Service::kContent, true},
    {"diff", Service::kDiff, true},
    {"events", Service::kEvents, false},
    {"healthcheck", std::nullopt, false},
    {"images", Service::kImages, true},
    {"introspection", std::nullopt, true},
    {"leases", Service::kLeases, false},
    {"namespaces", Service::kNamespaces, true},
    {"snapshots", Service::kSnapshots, true},
    {"tasks", Service::kTasks, true},
    {"version", std::nullopt, false},
};

void AddServices(const ServiceSet& served, PluginRegistry* registry) {
  for (const Served& row : kServed) {
    if (!row.has_service_plugin || (row.service && !served.Has(*row.service))) continue;
    registry->Add({.type = "io.containerd.service.v1",
                   .id = absl::StrCat(row.id, "-service"),
                   .requires_types = {"io.containerd.metadata.v1"}});
  }
  for (const Served& row : kServed) {
    if (row.service && !served.Has(*row.service)) continue;
    registry->Add({.type = "io.containerd.grpc.v1",
                   .id = row.id,
                   .requires_types = {"io.containerd.service.v1"}});
  }
}

}  // namespace

PluginRegistry DescribePlugins(const PluginPaths& paths, const Config& config) {
  PluginRegistry registry;
  for (const ProxyPlugin& proxy : config.proxy_plugins) AddProxy(proxy, &registry);
  AddParts(paths, config, &registry);
  AddServices(config.services, &registry);
  return registry;
}

}  // namespace gantry::daemon
