#ifndef GANTRY_DAEMON_CONTENT_PART_H_
#define GANTRY_DAEMON_CONTENT_PART_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/grpc_listener.h"
#include "daemon/parts.h"
#include "services/content/content_service.h"

namespace gantry::daemon {

// Content: the store below root, and its service.
class ContentPart {
 public:
  static absl::StatusOr<std::unique_ptr<ContentPart>> Open(const Shared& shared);

  void Name(GrpcListener::NamedServices* named);
  // For the services that read and make blobs.
  [[nodiscard]] content::ContentProvider& provider() { return *store_; }
  void AddCollectibles(std::vector<gc::Collectible*>* kinds);

 private:
  ContentPart(const Shared& shared, std::unique_ptr<content::ContentStore> store);

  std::unique_ptr<content::ContentStore> store_;
  content::ContentService service_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_CONTENT_PART_H_
