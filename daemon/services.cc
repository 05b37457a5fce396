#include "daemon/services.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "daemon/plugins.h"
#include "daemon/shim_events.h"
#include "daemon/unbuilt_services.h"
#include "daemon/version.h"
#include "services/containers/containers_service.h"
#include "services/content/content_service.h"
#include "services/content/content_store.h"
#include "services/diff/diff_service.h"
#include "services/events/bus_publisher.h"
#include "services/events/envelope_convert.h"
#include "services/events/events_service.h"
#include "services/images/images_service.h"
#include "services/introspection/introspection_service.h"
#include "services/leases/leases_service.h"
#include "services/metadata/store.h"
#include "services/namespaces/namespaces_service.h"
#include "services/snapshots/overlay_snapshotter.h"
#include "services/snapshots/snapshots_service.h"
#include "services/tasks/task_manager.h"
#include "services/tasks/tasks_service.h"
#include "services/tasks/zygote_launcher.h"
#include "services/version/version_service.h"

namespace gantry::daemon {
namespace {

std::string SnapshotRoot(const Config& config) {
  return config.overlayfs_root.empty() ? absl::StrCat(config.root, "/snapshots")
                                       : config.overlayfs_root;
}

// The part of a container's record that tasks are made from.
absl::StatusOr<tasks::ContainerInfo> FindContainer(const containers::Containers& containers,
                                                   const std::string& ns, const std::string& id) {
  GANTRY_ASSIGN_OR_RETURN(containers::Container container, containers.Get(ns, id));
  return tasks::ContainerInfo{.runtime_name = std::move(container.runtime_name),
                              .runtime_options = std::move(container.runtime_options),
                              .spec = std::move(container.spec)};
}

// What is opened from disk, which may fail, before the rest is put together.
struct Opened {
  std::unique_ptr<metadata::Store> store;
  std::unique_ptr<content::ContentStore> content;
  std::unique_ptr<snapshots::OverlaySnapshotter> overlayfs;
  std::string uuid;
  uint64_t pid_namespace = 0;
};

absl::StatusOr<Opened> OpenFromDisk(const Config& config) {
  Opened opened;
  GANTRY_ASSIGN_OR_RETURN(opened.store,
                          metadata::Store::Open(absl::StrCat(config.root, "/metadata")));
  GANTRY_ASSIGN_OR_RETURN(
      opened.content,
      content::ContentStore::Open(absl::StrCat(config.root, "/content"), *opened.store));
  GANTRY_ASSIGN_OR_RETURN(opened.overlayfs,
                          snapshots::OverlaySnapshotter::Open(SnapshotRoot(config), *opened.store));
  GANTRY_ASSIGN_OR_RETURN(opened.uuid, introspection::LoadOrCreateUuid(config.root));
  GANTRY_ASSIGN_OR_RETURN(opened.pid_namespace, introspection::PidNamespace());
  return opened;
}

}  // namespace

// In the order of dependence: each part refers to some above it.
struct Services::Parts {
  Parts(const Config& config, EventLoop& loop, Pools pools, runtime::ZygoteClient& zygote,
        Opened from_disk)
      : opened(std::move(from_disk)),
        namespaces(*opened.store),
        containers(*opened.store),
        images(*opened.store),
        leases(*opened.store),
        launcher(loop, zygote, config.state, config.TtrpcAddress(),
                 config.log_level == "debug" || config.log_level == "trace"),
        task_events(publisher),
        tasks(loop, pools.disk, launcher, task_events,
              {.state_dir = config.state,
               .find_container =
                   [this](const std::string& ns, const std::string& id) {
                     return FindContainer(containers, ns, id);
                   }}),
        plugins(DescribePlugins(
            {.root = config.root, .snapshots = SnapshotRoot(config), .state = config.state})),
        namespaces_service(namespaces, pools.disk, publisher),
        containers_service(containers, pools.disk, publisher),
        images_service(images, pools.disk, publisher),
        leases_service(leases, pools.disk),
        content_service(*opened.content, pools.disk, publisher),
        snapshots_service({{"overlayfs", opened.overlayfs.get()}}, pools.disk, publisher),
        diff_service(*opened.content, pools.layers),
        tasks_service(tasks),
        events_service(bus, pools.disk),
        version_service(kVersion, kRevision),
        introspection_service(plugins, pools.disk, opened.uuid, opened.pid_namespace) {}

  Opened opened;
  events::EventBus bus{&events::DecodeEventField};
  events::BusPublisher publisher{bus};
  namespaces::Namespaces namespaces;
  containers::Containers containers;
  images::Images images;
  leases::Leases leases;
  tasks::ZygoteLauncher launcher;
  tasks::TaskEventPublisher task_events;
  tasks::TaskManager tasks;
  introspection::PluginRegistry plugins;

  namespaces::NamespacesService namespaces_service;
  containers::ContainersService containers_service;
  images::ImagesService images_service;
  leases::LeasesService leases_service;
  content::ContentService content_service;
  snapshots::SnapshotsService snapshots_service;
  diff::DiffService diff_service;
  tasks::TasksService tasks_service;
  events::EventsService events_service;
  version::VersionService version_service;
  introspection::IntrospectionService introspection_service;
  std::vector<std::pair<std::string, std::unique_ptr<grpc::Service>>> unbuilt = UnbuiltServices();
  GrpcListener::NamedServices named;

  void Name();
};

void Services::Parts::Name() {
  namespace pb = containerd::services;
  named = {
      {pb::namespaces::v1::Namespaces::service_full_name(), &namespaces_service},
      {pb::containers::v1::Containers::service_full_name(), &containers_service},
      {pb::images::v1::Images::service_full_name(), &images_service},
      {pb::leases::v1::Leases::service_full_name(), &leases_service},
      {pb::content::v1::Content::service_full_name(), &content_service},
      {pb::snapshots::v1::Snapshots::service_full_name(), &snapshots_service},
      {pb::diff::v1::Diff::service_full_name(), &diff_service},
      {pb::tasks::v1::Tasks::service_full_name(), &tasks_service},
      {pb::events::v1::Events::service_full_name(), &events_service},
      {pb::version::v1::Version::service_full_name(), &version_service},
      {pb::introspection::v1::Introspection::service_full_name(), &introspection_service},
  };
  for (const auto& [name, service] : unbuilt) named.emplace_back(name, service.get());
}

Services::Services(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) { parts_->Name(); }

Services::~Services() = default;

absl::StatusOr<std::unique_ptr<Services>> Services::Open(const Config& config, EventLoop& loop,
                                                         Pools pools,
                                                         runtime::ZygoteClient& zygote) {
  GANTRY_ASSIGN_OR_RETURN(Opened opened, OpenFromDisk(config));
  auto parts = std::make_unique<Parts>(config, loop, pools, zygote, std::move(opened));
  return std::unique_ptr<Services>(new Services(std::move(parts)));
}

absl::Status Services::Restore() { return parts_->tasks.Restore(); }

const GrpcListener::NamedServices& Services::grpc() const { return parts_->named; }

absl::Status Services::ForwardShimEvent(absl::string_view payload) {
  return daemon::ForwardShimEvent(payload, parts_->tasks, parts_->bus);
}

void Services::EndStreams() { parts_->bus.Close(); }

}  // namespace gantry::daemon
