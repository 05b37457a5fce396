#include "daemon/unbuilt_services.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "proto/containerd/services/mounts/v1/mounts.grpc.pb.h"
#include "proto/containerd/services/sandbox/v1/sandbox.grpc.pb.h"
#include "proto/containerd/services/streaming/v1/streaming.grpc.pb.h"
#include "proto/containerd/services/transfer/v1/transfer.grpc.pb.h"

namespace gantry::daemon {
namespace {

using Context = grpc::CallbackServerContext;
using Unary = grpc::ServerUnaryReactor;

grpc::Status Unimplemented(const char* service) {
  return {grpc::StatusCode::UNIMPLEMENTED, absl::StrCat(service, " is not built into gantryd")};
}

Unary* Refuse(Context* context, const char* service) {
  Unary* reactor = context->DefaultReactor();
  reactor->Finish(Unimplemented(service));
  return reactor;
}

template <typename Reactor>
class RefusingReactor final : public Reactor {
 public:
  explicit RefusingReactor(const char* service) { this->Finish(Unimplemented(service)); }
  void OnDone() override { delete this; }
};

namespace transfer_pb = containerd::services::transfer::v1;
class UnbuiltTransfer final : public transfer_pb::Transfer::CallbackService {
 public:
  Unary* Transfer(Context* context, const transfer_pb::TransferRequest*,
                  google::protobuf::Empty*) override {
    return Refuse(context, transfer_pb::Transfer::service_full_name());
  }
};

namespace sandbox_pb = containerd::services::sandbox::v1;
class UnbuiltSandboxStore final : public sandbox_pb::Store::CallbackService {
 public:
  Unary* Create(Context* context, const sandbox_pb::StoreCreateRequest*,
                sandbox_pb::StoreCreateResponse*) override {
    return Refuse(context, sandbox_pb::Store::service_full_name());
  }
  Unary* Update(Context* context, const sandbox_pb::StoreUpdateRequest*,
                sandbox_pb::StoreUpdateResponse*) override {
    return Refuse(context, sandbox_pb::Store::service_full_name());
  }
  Unary* Delete(Context* context, const sandbox_pb::StoreDeleteRequest*,
                sandbox_pb::StoreDeleteResponse*) override {
    return Refuse(context, sandbox_pb::Store::service_full_name());
  }
  Unary* List(Context* context, const sandbox_pb::StoreListRequest*,
              sandbox_pb::StoreListResponse*) override {
    return Refuse(context, sandbox_pb::Store::service_full_name());
  }
  Unary* Get(Context* context, const sandbox_pb::StoreGetRequest*,
             sandbox_pb::StoreGetResponse*) override {
    return Refuse(context, sandbox_pb::Store::service_full_name());
  }
};

class UnbuiltSandboxController final : public sandbox_pb::Controller::CallbackService {
 public:
  Unary* Create(Context* context, const sandbox_pb::ControllerCreateRequest*,
                sandbox_pb::ControllerCreateResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
  Unary* Start(Context* context, const sandbox_pb::ControllerStartRequest*,
               sandbox_pb::ControllerStartResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
  Unary* Platform(Context* context, const sandbox_pb::ControllerPlatformRequest*,
                  sandbox_pb::ControllerPlatformResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
  Unary* Stop(Context* context, const sandbox_pb::ControllerStopRequest*,
              sandbox_pb::ControllerStopResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
  Unary* Wait(Context* context, const sandbox_pb::ControllerWaitRequest*,
              sandbox_pb::ControllerWaitResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
  Unary* Status(Context* context, const sandbox_pb::ControllerStatusRequest*,
                sandbox_pb::ControllerStatusResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
  Unary* Shutdown(Context* context, const sandbox_pb::ControllerShutdownRequest*,
                  sandbox_pb::ControllerShutdownResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
  Unary* Metrics(Context* context, const sandbox_pb::ControllerMetricsRequest*,
                 sandbox_pb::ControllerMetricsResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
  Unary* Update(Context* context, const sandbox_pb::ControllerUpdateRequest*,
                sandbox_pb::ControllerUpdateResponse*) override {
    return Refuse(context, sandbox_pb::Controller::service_full_name());
  }
};

namespace mounts_pb = containerd::services::mounts::v1;
class UnbuiltMounts final : public mounts_pb::Mounts::CallbackService {
 public:
  Unary* Activate(Context* context, const mounts_pb::ActivateRequest*,
                  mounts_pb::ActivateResponse*) override {
    return Refuse(context, mounts_pb::Mounts::service_full_name());
  }
  Unary* Deactivate(Context* context, const mounts_pb::DeactivateRequest*,
                    google::protobuf::Empty*) override {
    return Refuse(context, mounts_pb::Mounts::service_full_name());
  }
  Unary* Info(Context* context, const mounts_pb::InfoRequest*, mounts_pb::InfoResponse*) override {
    return Refuse(context, mounts_pb::Mounts::service_full_name());
  }
  Unary* Update(Context* context, const mounts_pb::UpdateRequest*,
                mounts_pb::UpdateResponse*) override {
    return Refuse(context, mounts_pb::Mounts::service_full_name());
  }
  grpc::ServerWriteReactor<mounts_pb::ListMessage>* List(Context*,
                                                         const mounts_pb::ListRequest*) override {
    return new RefusingReactor<grpc::ServerWriteReactor<mounts_pb::ListMessage>>(
        mounts_pb::Mounts::service_full_name());
  }
};

namespace streaming_pb = containerd::services::streaming::v1;
class UnbuiltStreaming final : public streaming_pb::Streaming::CallbackService {
 public:
  using Reactor = grpc::ServerBidiReactor<google::protobuf::Any, google::protobuf::Any>;
  Reactor* Stream(Context*) override {
    return new RefusingReactor<Reactor>(streaming_pb::Streaming::service_full_name());
  }
};

}  // namespace

std::vector<std::pair<std::string, std::unique_ptr<grpc::Service>>> UnbuiltServices() {
  std::vector<std::pair<std::string, std::unique_ptr<grpc::Service>>> services;
  services.emplace_back(transfer_pb::Transfer::service_full_name(),
                        std::make_unique<UnbuiltTransfer>());
  services.emplace_back(streaming_pb::Streaming::service_full_name(),
                        std::make_unique<UnbuiltStreaming>());
  services.emplace_back(sandbox_pb::Store::service_full_name(),
                        std::make_unique<UnbuiltSandboxStore>());
  services.emplace_back(sandbox_pb::Controller::service_full_name(),
                        std::make_unique<UnbuiltSandboxController>());
  services.emplace_back(mounts_pb::Mounts::service_full_name(), std::make_unique<UnbuiltMounts>());
  return services;
}

}  // namespace gantry::daemon
