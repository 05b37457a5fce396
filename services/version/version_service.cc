#include "services/version/version_service.h"

namespace gantry::version {

grpc::ServerUnaryReactor* VersionService::Version(
    grpc::CallbackServerContext* context, const google::protobuf::Empty*,
    containerd::services::version::v1::VersionResponse* response) {
  response->set_version(version_);
  response->set_revision(revision_);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace gantry::version
