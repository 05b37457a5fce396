#include "daemon/gc_part.h"

#include <malloc.h>

#include "services/gc/removal_publisher.h"

namespace gantry::daemon {
namespace {

// Who serves less does not know what refers to what: a containerd that has gantry for its content
// decides itself what it deletes there.
bool KnowsAllReferences(const Config& config) {
  const ServiceSet& served = config.services;
  // Labels of content refer to content and snapshots.
  if (FindProxy(config.proxy_plugins, ProxyType::kContent) != nullptr) return false;
  return served.Has(Service::kContainers) && served.Has(Service::kContent) &&
         served.Has(Service::kImages) && served.Has(Service::kLeases) &&
         served.Has(Service::kSnapshots);
}

}  // namespace

GcPart::GcPart(const Config& config, metadata::Store& store, rpc::EventPublisher& publisher,
               metrics::GcMetrics* metrics)
    : config_(config),
      store_(store),
      publisher_(publisher),
      metrics_(metrics),
      scheduler_(config.gc) {}

GcPart::~GcPart() { Stop(); }

void GcPart::Start(std::vector<gc::Collectible*> kinds) {
  collector_ = std::make_unique<gc::Collector>(
      store_, std::move(kinds),
      KnowsAllReferences(config_) ? gc::Scope::kRecords : gc::Scope::kFilesOfDeleted,
      [this](const std::vector<gc::Node>& removed) { gc::PublishRemovals(removed, publisher_); });
  store_.SetObserver([this](const metadata::Changes& changes) { scheduler_.NoteChanges(changes); });
  scheduler_.Start([this] { return Collect(); });
}

absl::StatusOr<gc::Stats> GcPart::Collect() {
  absl::StatusOr<gc::Stats> stats = collector_->Collect();
  if (metrics_ != nullptr && stats.ok()) {
    metrics_->Collected(stats->mark + stats->sweep + stats->cleanup, stats->removed);
  } else if (metrics_ != nullptr) {
    metrics_->Failed();
  }
  // What a burst of requests and the collection itself took goes back to the system.
  ::malloc_trim(0);
  return stats;
}

void GcPart::Stop() {
  store_.SetObserver(nullptr);
  if (collector_ != nullptr) collector_->Cancel();
  scheduler_.Stop();
}

}  // namespace gantry::daemon
