#ifndef GANTRY_SERVICES_RPC_REMOTE_H_
#define GANTRY_SERVICES_RPC_REMOTE_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "services/rpc/context.h"

namespace gantry::rpc {

// A channel to the service at the unix socket `path`. It connects when it is used, and again when
// the other side comes back.
std::shared_ptr<grpc::Channel> DialUnix(const std::string& path);

// Calls to another process that this one waits for, so that all can be ended together when the
// daemon stops. Thread-safe.
class RemoteCalls {
 public:
  // A call under way. It is forgotten when this goes out of scope.
  class Call {
   public:
    Call(RemoteCalls& calls, const RequestContext& from);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    [[nodiscard]] grpc::ClientContext* context() { return &context_; }

   private:
    RemoteCalls& calls_;
    grpc::ClientContext context_;
  };

  // Runs `call` with a context that says the namespace and lease of `from`.
  absl::Status Run(const RequestContext& from,
                   const std::function<grpc::Status(grpc::ClientContext*)>& call);

  // Cancels those under way, and all to come.
  void CancelAll();

 private:
  std::mutex mutex_;
  bool cancelled_ = false;
  std::set<grpc::ClientContext*> under_way_;
};

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_REMOTE_H_
