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

std::string SnapshotsPart::NativeRoot(const Config& config) {
  return config.native_root.empty() ? absl::StrCat(config.root, "/snapshots-native")
                                    : config.native_root;
}

absl::StatusOr<std::unique_ptr<SnapshotsPart>> SnapshotsPart::Open(const Shared& shared) {
  std::unique_ptr<SnapshotsPart> part(new SnapshotsPart());
  snapshots::OverlayOptions options = shared.config.overlayfs;
  // Of this daemon's own clients the task service maps the ids, whatever release they are of.
  options.maps_in_mounts = shared.Callers() == rpc::Caller::kDaemon;
  GANTRY_ASSIGN_OR_RETURN(part->overlayfs_, snapshots::OverlaySnapshotter::Open(
                                                OverlayRoot(shared.config), shared.store, options));
  GANTRY_ASSIGN_OR_RETURN(
      part->native_, snapshots::NativeSnapshotter::Open(NativeRoot(shared.config), shared.store));
  part->shared_overlayfs_ =
      std::make_unique<snapshots::SharedSnapshotter>(*part->overlayfs_, shared.store);
  part->shared_native_ =
      std::make_unique<snapshots::SharedSnapshotter>(*part->native_, shared.store);
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
  if (shared.Callers() == rpc::Caller::kDaemon) {
    served["overlayfs"] = {.snapshotter = shared_overlayfs_.get()};
    served["native"] = {.snapshotter = shared_native_.get()};
  } else {
    served["overlayfs"] = {.snapshotter = overlayfs_.get()};
    served["native"] = {.snapshotter = native_.get()};
  }
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
  kinds->push_back(&native_->collectible());
}

}  // namespace gantry::daemon
