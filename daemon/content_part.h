#ifndef GANTRY_DAEMON_CONTENT_PART_H_
#define GANTRY_DAEMON_CONTENT_PART_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "daemon/grpc_listener.h"
#include "daemon/parts.h"
#include "services/content/content_store.h"

namespace gantry::daemon {

// Content: the store below root with its service, or, where the configuration has a proxy plugin
// of type content, what another process serves.
class ContentPart {
 public:
  // Null if this daemon has neither.
  static absl::StatusOr<std::unique_ptr<ContentPart>> Open(const Shared& shared);
  virtual ~ContentPart() = default;

  virtual void Name(GrpcListener::NamedServices* named) = 0;
  // For the services that read and make blobs.
  virtual content::ContentProvider& provider() = 0;
  // What of it is collected here: nothing where another process has it.
  virtual void AddCollectibles(std::vector<gc::Collectible*>* /*kinds*/) {}
  // Ends what waits for another process.
  virtual void CancelCalls() {}
};

// That of another process. `plugin` is of type content.
std::unique_ptr<ContentPart> ProxyContent(const Shared& shared, const ProxyPlugin& plugin);

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_CONTENT_PART_H_
