#include "daemon/grpc_listener.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "daemon/sockets.h"
#include "services/metrics/grpc_interceptor.h"

namespace gantry::daemon {
namespace {

// gRPC makes the socket itself; with this mask nobody but root can connect before it has its owner.
class PrivateUmask {
 public:
  PrivateUmask() : previous_(::umask(0177)) {}
  ~PrivateUmask() { ::umask(previous_); }
  PrivateUmask(const PrivateUmask&) = delete;
  PrivateUmask& operator=(const PrivateUmask&) = delete;

 private:
  const mode_t previous_;
};

// What a client may send on a stream before it is read.
constexpr int kStreamWindowBytes = 1 << 20;

// Windows of a fixed size instead of measured ones. gRPC measures by a ping with each message that
// it receives: one more write, wake-up and answer on both sides, as dear as a short call itself, to
// find out what the delay of a unix socket is.
void SetFlowControl(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kStreamWindowBytes);
}

// Reflection is served by a thread of its own, which would look every ten seconds whether it is
// still needed; the end of the server wakes it too.
void SetPolling(grpc::ServerBuilder& builder) {
  builder.SetSyncServerOption(grpc::ServerBuilder::CQ_TIMEOUT_MSEC,
                              std::numeric_limits<int>::max());
}

}  // namespace

GrpcListener::GrpcListener(std::string path, std::unique_ptr<grpc::Server> server)
    : path_(std::move(path)), server_(std::move(server)) {}

GrpcListener::~GrpcListener() { Stop(absl::ZeroDuration()); }

absl::StatusOr<std::unique_ptr<GrpcListener>> GrpcListener::Start(const Config& config,
                                                                  const NamedServices& services,
                                                                  metrics::GrpcMetrics* counted) {
  const std::string& path = config.grpc.address;
  GANTRY_RETURN_IF_ERROR(PrepareSocketPath(path));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();

  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(static_cast<int>(config.max_recv_message_bytes));
  builder.SetMaxSendMessageSize(static_cast<int>(config.max_send_message_bytes));
  SetFlowControl(builder);
  SetPolling(builder);
  int port = 0;
  builder.AddListeningPort(absl::StrCat("unix:", path), grpc::InsecureServerCredentials(), &port);
  for (const auto& [name, service] : services) builder.RegisterService(service);

  if (counted != nullptr) {
    std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> counters;
    counters.push_back(metrics::CountCalls(*counted));
    builder.experimental().SetInterceptorCreators(std::move(counters));
  }

  std::unique_ptr<grpc::Server> server;
  {
    PrivateUmask umask;
    server = builder.BuildAndStart();
  }
  if (server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat("listen at ", path, ": gRPC could not bind it"));
  }
  std::unique_ptr<GrpcListener> listener(new GrpcListener(path, std::move(server)));
  if (::chown(path.c_str(), config.grpc.uid, config.grpc.gid) != 0) {
    return ErrnoError(errno, absl::StrCat("give ", path, " to its owner"));
  }
  if (::chmod(path.c_str(), 0660) != 0) {
    return ErrnoError(errno, absl::StrCat("set the mode of ", path));
  }
  if (auto* health = listener->server_->GetHealthCheckService(); health != nullptr) {
    for (const auto& [name, service] : services) health->SetServingStatus(name, true);
  }
  return listener;
}

void GrpcListener::Stop(absl::Duration patience) {
  if (server_ == nullptr) return;
  // A watch of the health service is a stream that ends only when it is told to.
  if (auto* health = server_->GetHealthCheckService(); health != nullptr) health->Shutdown();
  server_->Shutdown(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(patience));
  server_->Wait();
  server_.reset();
  ::unlink(path_.c_str());
}

}  // namespace gantry::daemon
