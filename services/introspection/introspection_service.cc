#include "services/introspection/introspection_service.h"

#include <unistd.h>

#include "services/rpc/unary.h"

namespace gantry::introspection {
namespace {

namespace pb = containerd::services::introspection::v1;

void ToProto(const Plugin& plugin, pb::Plugin* proto) {
  proto->set_type(plugin.type);
  proto->set_id(plugin.id);
  for (const std::string& type : plugin.requires_types) proto->add_requires(type);
  for (const Platform& platform : plugin.platforms) {
    auto* added = proto->add_platforms();
    added->set_os(platform.os);
    added->set_architecture(platform.architecture);
  }
  for (const auto& [key, value] : plugin.exports) (*proto->mutable_exports())[key] = value;
  for (const std::string& capability : plugin.capabilities) proto->add_capabilities(capability);
  if (!plugin.init_error.ok()) {
    proto->mutable_init_err()->set_code(static_cast<int>(plugin.init_error.code()));
    proto->mutable_init_err()->set_message(std::string(plugin.init_error.message()));
  }
}

}  // namespace

grpc::ServerUnaryReactor* IntrospectionService::Plugins(grpc::CallbackServerContext* context,
                                                        const pb::PluginsRequest* request,
                                                        pb::PluginsResponse* response) {
  return rpc::UnaryWithoutNamespace(
      context, executor_, [this, request, response]() -> absl::Status {
        auto plugins = registry_.List({request->filters().begin(), request->filters().end()});
        if (!plugins.ok()) return plugins.status();
        for (const Plugin& plugin : *plugins) ToProto(plugin, response->add_plugins());
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* IntrospectionService::Server(grpc::CallbackServerContext* context,
                                                       const google::protobuf::Empty*,
                                                       pb::ServerResponse* response) {
  return rpc::UnaryWithoutNamespace(context, executor_, [this, response]() -> absl::Status {
    response->set_uuid(uuid_);
    response->set_pid(static_cast<uint64_t>(::getpid()));
    response->set_pidns(pid_namespace_);
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* IntrospectionService::PluginInfo(grpc::CallbackServerContext* context,
                                                           const pb::PluginInfoRequest* request,
                                                           pb::PluginInfoResponse* response) {
  return rpc::UnaryWithoutNamespace(context, executor_,
                                    [this, request, response]() -> absl::Status {
                                      auto plugin = registry_.Get(request->type(), request->id());
                                      if (!plugin.ok()) return plugin.status();
                                      ToProto(*plugin, response->mutable_plugin());
                                      return absl::OkStatus();
                                    });
}

}  // namespace gantry::introspection
