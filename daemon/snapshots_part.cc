#include "daemon/snapshots_part.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace gantry::daemon {
namespace {

// How many calls one snapshotter of another process may keep waiting before more of them queue.
constexpr int kProxyThreads = 4;

}  // namespace

std::string SnapshotsPart::OverlayRoot(const Config& config) {
  return config.overlayfs_root.empty() ? absl::StrCat(config.root, "/snapshots")
                                       : config.overlayfs_root;
}

absl::StatusOr<std::unique_ptr<SnapshotsPart>> SnapshotsPart::Open(const Shared& shared) {
  std::unique_ptr<SnapshotsPart> part(new SnapshotsPart());
  GANTRY_ASSIGN_OR_RETURN(part->overlayfs_, snapshots::OverlaySnapshotter::Open(
                                                OverlayRoot(shared.config), shared.store));
  part->shared_overlayfs_ =
      std::make_unique<snapshots::SharedSnapshotter>(*part->overlayfs_, shared.store);
  for (const ProxyPlugin& plugin : shared.config.proxy_plugins) {
    if (plugin.Type() == ProxyType::kSnapshot) part->AddProxy(plugin);
  }
  part->service_ = std::make_unique<snapshots::SnapshotsService>(
      part->ByName(shared), shared.disk, shared.publisher, shared.Callers());
  return part;
}

void SnapshotsPart::AddProxy(const ProxyPlugin& plugin) {
  proxies_.push_back({.name = plugin.name,
                      .client = std::make_unique<snapshots::SnapshotsClient>(
                          rpc::DialUnix(plugin.SocketPath()), plugin.name),
                      .executor = std::make_unique<Executor>(kProxyThreads)});
}

std::map<std::string, snapshots::ServedSnapshotter> SnapshotsPart::ByName(const Shared& shared) {
  std::map<std::string, snapshots::ServedSnapshotter> served;
  snapshots::Snapshotter* overlayfs = overlayfs_.get();
  if (shared.Callers() == rpc::Caller::kDaemon) overlayfs = shared_overlayfs_.get();
  served["overlayfs"] = {.snapshotter = overlayfs};
  for (const Proxy& proxy : proxies_) {
    served[proxy.name] = {.snapshotter = proxy.client.get(), .executor = proxy.executor.get()};
  }
  return served;
}

void SnapshotsPart::CancelCalls() {
  for (const Proxy& proxy : proxies_) proxy.client->CancelAll();
}

void SnapshotsPart::Name(GrpcListener::NamedServices* named) {
  named->emplace_back(containerd::services::snapshots::v1::Snapshots::service_full_name(),
                      service_.get());
}

void SnapshotsPart::AddCollectibles(std::vector<gc::Collectible*>* kinds) {
  kinds->push_back(&overlayfs_->collectible());
}

}  // namespace gantry::daemon
