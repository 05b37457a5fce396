#ifndef GANTRY_SERVICES_RPC_CONTEXT_H_
#define GANTRY_SERVICES_RPC_CONTEXT_H_

#include <grpcpp/server_context.h>

#include <string>

#include "absl/status/statusor.h"

namespace gantry::rpc {

// What every request brings in its headers.
struct RequestContext {
  std::string ns;     // containerd-namespace
  std::string lease;  // containerd-lease; may be empty
};

// Errors: FailedPrecondition if there is no namespace header, InvalidArgument if what it says is
// no identifier.
absl::StatusOr<RequestContext> ContextOf(const grpc::CallbackServerContext& context);

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_CONTEXT_H_
