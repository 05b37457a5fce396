#include "daemon/content_part.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace gantry::daemon {

absl::StatusOr<std::unique_ptr<ContentPart>> ContentPart::Open(const Shared& shared) {
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<content::ContentStore> store,
                          content::ContentStore::Open(
                              absl::StrCat(shared.config.root, "/content"), shared.store,
                              {.isolated = shared.config.content_sharing_policy == "isolated"}));
  return std::unique_ptr<ContentPart>(new ContentPart(shared, std::move(store)));
}

ContentPart::ContentPart(const Shared& shared, std::unique_ptr<content::ContentStore> store)
    : store_(std::move(store)), service_(*store_, shared.disk, shared.publisher) {}

void ContentPart::Name(GrpcListener::NamedServices* named) {
  named->emplace_back(containerd::services::content::v1::Content::service_full_name(), &service_);
}

void ContentPart::AddCollectibles(std::vector<gc::Collectible*>* kinds) {
  for (gc::Collectible* kind : store_->collectibles()) kinds->push_back(kind);
}

}  // namespace gantry::daemon
