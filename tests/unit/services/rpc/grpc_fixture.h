#ifndef GANTRY_TESTS_UNIT_SERVICES_RPC_GRPC_FIXTURE_H_
#define GANTRY_TESTS_UNIT_SERVICES_RPC_GRPC_FIXTURE_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/executor.h"
#include "services/rpc/event_publisher.h"

namespace gantry::rpc {

// Keeps what adapters announce as "namespace topic message.name: text".
class RecordingPublisher final : public EventPublisher {
 public:
  void Publish(absl::string_view ns, absl::string_view topic,
               const google::protobuf::Message& event) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(absl::StrCat(ns, " ", topic, " ", event.GetDescriptor()->full_name(), ": ",
                                   event.ShortDebugString()));
  }
  std::vector<std::string> Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(events_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> events_;
};

// One service behind a channel inside this process, and the contexts to call it with.
class GrpcServer {
 public:
  explicit GrpcServer(grpc::Service& service) {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service);
    server_ = builder.BuildAndStart();
  }
  ~GrpcServer() {
    server_->Shutdown();
    server_->Wait();
  }
  std::shared_ptr<grpc::Channel> Channel() { return server_->InProcessChannel({}); }

 private:
  std::unique_ptr<grpc::Server> server_;
};

// A request's context, with a namespace header unless `ns` is empty.
inline std::unique_ptr<grpc::ClientContext> In(const std::string& ns) {
  auto context = std::make_unique<grpc::ClientContext>();
  if (!ns.empty()) context->AddMetadata("containerd-namespace", ns);
  return context;
}

}  // namespace gantry::rpc

#endif  // GANTRY_TESTS_UNIT_SERVICES_RPC_GRPC_FIXTURE_H_
