#include "daemon/content_part.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "services/content/content_service.h"

namespace gantry::daemon {
namespace {

class OwnContent final : public ContentPart {
 public:
  OwnContent(const Shared& shared, std::unique_ptr<content::ContentStore> store)
      : store_(std::move(store)),
        service_(*store_, shared.disk, shared.publisher, shared.Callers()) {}

  void Name(GrpcListener::NamedServices* named) override {
    named->emplace_back(containerd::services::content::v1::Content::service_full_name(), &service_);
  }
  content::ContentProvider& provider() override { return *store_; }
  void AddCollectibles(std::vector<gc::Collectible*>* kinds) override {
    for (gc::Collectible* kind : store_->collectibles()) kinds->push_back(kind);
  }

 private:
  std::unique_ptr<content::ContentStore> store_;
  content::ContentService service_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ContentPart>> ContentPart::Open(const Shared& shared) {
  const ProxyPlugin* const proxy = FindProxy(shared.config.proxy_plugins, ProxyType::kContent);
  if (proxy != nullptr) return ProxyContent(shared, *proxy);
  if (!shared.config.services.Has(Service::kContent)) return nullptr;
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<content::ContentStore> store,
                          content::ContentStore::Open(
                              absl::StrCat(shared.config.root, "/content"), shared.store,
                              {.isolated = shared.config.content_sharing_policy == "isolated"}));
  return std::make_unique<OwnContent>(shared, std::move(store));
}

}  // namespace gantry::daemon
