#ifndef GANTRY_SERVICES_VERSION_VERSION_SERVICE_H_
#define GANTRY_SERVICES_VERSION_VERSION_SERVICE_H_

#include <string>

#include "proto/containerd/services/version/v1/version.grpc.pb.h"

namespace gantry::version {

// containerd.services.version.v1.Version. Needs no namespace.
class VersionService final : public containerd::services::version::v1::Version::CallbackService {
 public:
  VersionService(std::string version, std::string revision)
      : version_(std::move(version)), revision_(std::move(revision)) {}

  grpc::ServerUnaryReactor* Version(
      grpc::CallbackServerContext* context, const google::protobuf::Empty* request,
      containerd::services::version::v1::VersionResponse* response) override;

 private:
  const std::string version_;
  const std::string revision_;
};

}  // namespace gantry::version

#endif  // GANTRY_SERVICES_VERSION_VERSION_SERVICE_H_
