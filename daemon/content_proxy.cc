#include "daemon/content_part.h"
#include "services/content/content_client.h"
#include "services/content/forwarded_content_service.h"
#include "services/rpc/remote.h"

namespace gantry::daemon {
namespace {

class ContentOfAnother final : public ContentPart {
 public:
  ContentOfAnother(const Shared& shared, const std::shared_ptr<grpc::Channel>& channel)
      : client_(channel, shared.config.root), service_(channel, shared.publisher) {}

  void Name(GrpcListener::NamedServices* named) override {
    named->emplace_back(containerd::services::content::v1::Content::service_full_name(), &service_);
  }
  content::ContentProvider& provider() override { return client_; }
  void CancelCalls() override { client_.CancelAll(); }

 private:
  content::ContentClient client_;
  content::ForwardedContentService service_;
};

}  // namespace

std::unique_ptr<ContentPart> ProxyContent(const Shared& shared, const ProxyPlugin& plugin) {
  return std::make_unique<ContentOfAnother>(shared, rpc::DialUnix(plugin.SocketPath()));
}

}  // namespace gantry::daemon
