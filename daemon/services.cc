#include "daemon/services.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "daemon/content_part.h"
#include "daemon/gc_part.h"
#include "daemon/plugins.h"
#include "daemon/record_services.h"
#include "daemon/shim_events.h"
#include "daemon/snapshots_part.h"
#include "daemon/tasks_part.h"
#include "daemon/unbuilt_services.h"
#include "daemon/version.h"
#include "services/diff/diff_service.h"
#include "services/diff/forwarded_diff_service.h"
#include "services/events/bus_publisher.h"
#include "services/events/envelope_convert.h"
#include "services/events/events_service.h"
#include "services/introspection/introspection_service.h"
#include "services/metrics/container_families.h"
#include "services/metrics/task_families.h"
#include "services/rpc/remote.h"
#include "services/version/version_service.h"

namespace gantry::daemon {

// In the order of dependence: each part refers to some above it. Those that may be absent are
// pointers.
struct Services::Parts {
  Parts(const Config& wanted, Pools pools, std::unique_ptr<metadata::Store> opened,
        metrics::GcMetrics* collections)
      : config(wanted),
        store(std::move(opened)),
        gc(config, *store, publisher, collections),
        shared{config, *store, publisher, gc.trigger(), pools.disk, pools.layers} {}
  // Nothing collects any more when what is collected goes.
  ~Parts() { gc.Stop(); }

  const Config config;
  std::unique_ptr<metadata::Store> store;
  events::EventBus bus{&events::DecodeEventField};
  events::BusPublisher publisher{bus};
  GcPart gc;
  const Shared shared;
  RecordServices records{shared};
  std::unique_ptr<ContentPart> content;
  std::unique_ptr<SnapshotsPart> snapshots;
  std::unique_ptr<grpc::Service> diff;
  std::unique_ptr<TasksPart> tasks;
  events::EventsService events{bus, shared.disk};
  version::VersionService version{kVersion, kRevision};
  introspection::PluginRegistry plugins;
  std::unique_ptr<introspection::IntrospectionService> introspection;
  std::vector<std::pair<std::string, std::unique_ptr<grpc::Service>>> unbuilt;
  GrpcListener::NamedServices named;

  absl::Status Open(EventLoop& loop, runtime::ZygoteClient* zygote);
  absl::Status OpenDiff();
  absl::Status OpenIntrospection();
  void Name();
};

absl::Status Services::Parts::Open(EventLoop& loop, runtime::ZygoteClient* zygote) {
  const ServiceSet& served = config.services;
  GANTRY_ASSIGN_OR_RETURN(content, ContentPart::Open(shared));
  if (served.Has(Service::kSnapshots)) {
    GANTRY_ASSIGN_OR_RETURN(snapshots, SnapshotsPart::Open(shared));
  }
  if (served.Has(Service::kDiff)) GANTRY_RETURN_IF_ERROR(OpenDiff());
  if (served.Has(Service::kTasks)) {
    tasks = std::make_unique<TasksPart>(shared, loop, *zygote, records.containers(),
                                        snapshots == nullptr ? nullptr : snapshots->overlayfs());
  }
  if (served.IsWhole()) unbuilt = UnbuiltServices();
  GANTRY_RETURN_IF_ERROR(OpenIntrospection());
  std::vector<gc::Collectible*> kinds = records.collectibles();
  if (content != nullptr) content->AddCollectibles(&kinds);
  if (snapshots != nullptr) snapshots->AddCollectibles(&kinds);
  gc.Start(std::move(kinds));
  return absl::OkStatus();
}

absl::Status Services::Parts::OpenDiff() {
  const ProxyPlugin* const proxy = FindProxy(config.proxy_plugins, ProxyType::kDiff);
  if (proxy != nullptr) {
    diff = std::make_unique<diff::ForwardedDiffService>(rpc::DialUnix(proxy->SocketPath()));
    return absl::OkStatus();
  }
  if (content == nullptr) {
    return absl::InvalidArgumentError(
        "services: diff reads and makes content: it cannot be served without content, or a proxy "
        "plugin of type content");
  }
  diff = std::make_unique<diff::DiffService>(content->provider(), shared.layers, config.layer);
  return absl::OkStatus();
}

absl::Status Services::Parts::OpenIntrospection() {
  plugins = DescribePlugins(
      {.root = config.root,
       .snapshots = SnapshotsPart::OverlayRoot(config),
       .native = SnapshotsPart::NativeRoot(config),
       .state = config.state,
       .overlayfs_capabilities = snapshots == nullptr ? std::vector<std::string>()
                                                      : snapshots->overlayfs()->Capabilities()},
      config);
  GANTRY_ASSIGN_OR_RETURN(std::string uuid, introspection::LoadOrCreateUuid(config.root));
  GANTRY_ASSIGN_OR_RETURN(const uint64_t pid_namespace, introspection::PidNamespace());
  introspection = std::make_unique<introspection::IntrospectionService>(
      plugins, shared.disk, std::move(uuid), pid_namespace);
  return absl::OkStatus();
}

void Services::Parts::Name() {
  namespace pb = containerd::services;
  records.Name(config.services, &named);
  if (config.services.Has(Service::kContent)) content->Name(&named);
  if (snapshots != nullptr) snapshots->Name(&named);
  if (diff != nullptr) named.emplace_back(pb::diff::v1::Diff::service_full_name(), diff.get());
  if (tasks != nullptr) tasks->Name(&named);
  if (config.services.Has(Service::kEvents)) {
    named.emplace_back(pb::events::v1::Events::service_full_name(), &events);
  }
  named.emplace_back(pb::version::v1::Version::service_full_name(), &version);
  named.emplace_back(pb::introspection::v1::Introspection::service_full_name(),
                     introspection.get());
  for (const auto& [name, service] : unbuilt) named.emplace_back(name, service.get());
}

Services::Services(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Services::~Services() = default;

absl::StatusOr<std::unique_ptr<Services>> Services::Open(const Config& config, EventLoop& loop,
                                                         Pools pools, runtime::ZygoteClient* zygote,
                                                         metrics::GcMetrics* collections) {
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<metadata::Store> store,
                          metadata::Store::Open(absl::StrCat(config.root, "/metadata")));
  auto parts = std::make_unique<Parts>(config, pools, std::move(store), collections);
  GANTRY_RETURN_IF_ERROR(parts->Open(loop, zygote));
  parts->Name();
  return std::unique_ptr<Services>(new Services(std::move(parts)));
}

absl::Status Services::Restore() {
  return parts_->tasks == nullptr ? absl::OkStatus() : parts_->tasks->Restore();
}

const GrpcListener::NamedServices& Services::grpc() const { return parts_->named; }

absl::Status Services::ForwardShimEvent(absl::string_view payload) {
  return daemon::ForwardShimEvent(payload, parts_->tasks->manager(), parts_->bus);
}

void Services::WriteFamilies(const metrics::FamilySink& sink) const {
  metrics::FamilyBuilder build("gantry_build_info", "The daemon's version",
                               prometheus::MetricType::Gauge);
  build.Add(1, {{"version", kVersion}, {"revision", kRevision}});
  std::move(build).WriteTo(sink);
  if (parts_->tasks == nullptr) return;
  metrics::WriteTaskFamilies(parts_->tasks->manager().Count(), sink);
  metrics::WriteContainerFamilies(parts_->tasks->manager().ReadStats(), sink);
}

absl::Status Services::CheckHealth() const {
  return Annotate(parts_->store->View([](const metadata::Reader& reader) {
    return reader.Namespaces("namespaces").status();
  }),
                  "read the metadata store");
}

void Services::EndStreams() {
  // Who waits for a collection is answered, and starts none any more.
  parts_->gc.Stop();
  parts_->bus.Close();
  if (parts_->content != nullptr) parts_->content->CancelCalls();
  if (parts_->snapshots != nullptr) parts_->snapshots->CancelCalls();
}

}  // namespace gantry::daemon
