#include "services/metrics/grpc_interceptor.h"

#include <chrono>

#include "absl/time/time.h"

namespace gantry::metrics {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;

CallType TypeOf(ServerRpcInfo::Type type) {
  switch (type) {
    case ServerRpcInfo::Type::UNARY:
      return CallType::kUnary;
    case ServerRpcInfo::Type::CLIENT_STREAMING:
      return CallType::kClientStream;
    case ServerRpcInfo::Type::SERVER_STREAMING:
      return CallType::kServerStream;
    case ServerRpcInfo::Type::BIDI_STREAMING:
      return CallType::kBidiStream;
  }
  return CallType::kUnary;
}

// One call. gRPC runs its hooks one at a time.
class CallCounter final : public grpc::experimental::Interceptor {
 public:
  explicit CallCounter(GrpcMetrics::Method& method) : method_(method) { method_.Started(); }
  // A call without an answer: the connection has ended before there was one.
  ~CallCounter() override {
    if (!handled_) Handled(grpc::StatusCode::CANCELLED);
  }

  void Intercept(InterceptorBatchMethods* methods) override {
    // Empty at the end of what a client streams.
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE) &&
        methods->GetRecvMessage() != nullptr) {
      method_.Received();
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_MESSAGE)) {
      method_.Sent();
    }
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      Handled(methods->GetSendStatus().error_code());
    }
    methods->Proceed();
  }

 private:
  void Handled(int code) {
    handled_ = true;
    method_.Handled(code, absl::FromChrono(std::chrono::steady_clock::now() - begun_));
  }

  GrpcMetrics::Method& method_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  bool handled_ = false;
};

class CallCounterFactory final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit CallCounterFactory(GrpcMetrics& metrics) : metrics_(metrics) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* info) override {
    return new CallCounter(metrics_.Of(info->method(), TypeOf(info->type())));
  }

 private:
  GrpcMetrics& metrics_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> CountCalls(
    GrpcMetrics& metrics) {
  return std::make_unique<CallCounterFactory>(metrics);
}

}  // namespace gantry::metrics
