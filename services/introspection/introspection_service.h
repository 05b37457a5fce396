#ifndef GANTRY_SERVICES_INTROSPECTION_INTROSPECTION_SERVICE_H_
#define GANTRY_SERVICES_INTROSPECTION_INTROSPECTION_SERVICE_H_

#include <string>

#include "base/executor.h"
#include "proto/containerd/services/introspection/v1/introspection.grpc.pb.h"
#include "services/introspection/plugin_registry.h"

namespace gantry::introspection {

// containerd.services.introspection.v1.Introspection. Needs no namespace.
class IntrospectionService final
    : public containerd::services::introspection::v1::Introspection::CallbackService {
 public:
  // `registry` must outlive this and be complete before the first call.
  IntrospectionService(const PluginRegistry& registry, Executor& executor, std::string uuid,
                       uint64_t pid_namespace)
      : registry_(registry),
        executor_(executor),
        uuid_(std::move(uuid)),
        pid_namespace_(pid_namespace) {}

  grpc::ServerUnaryReactor* Plugins(
      grpc::CallbackServerContext* context,
      const containerd::services::introspection::v1::PluginsRequest* request,
      containerd::services::introspection::v1::PluginsResponse* response) override;
  grpc::ServerUnaryReactor* Server(
      grpc::CallbackServerContext* context, const google::protobuf::Empty* request,
      containerd::services::introspection::v1::ServerResponse* response) override;
  grpc::ServerUnaryReactor* PluginInfo(
      grpc::CallbackServerContext* context,
      const containerd::services::introspection::v1::PluginInfoRequest* request,
      containerd::services::introspection::v1::PluginInfoResponse* response) override;

 private:
  const PluginRegistry& registry_;
  Executor& executor_;
  const std::string uuid_;
  const uint64_t pid_namespace_;
};

}  // namespace gantry::introspection

#endif  // GANTRY_SERVICES_INTROSPECTION_INTROSPECTION_SERVICE_H_
