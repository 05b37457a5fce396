#ifndef GANTRY_SERVICES_RPC_CONTEXT_H_
#define GANTRY_SERVICES_RPC_CONTEXT_H_

#include <grpcpp/server_context.h>

#include <string>

#include "absl/status/statusor.h"

namespace gantry::rpc {

inline constexpr char kNamespaceHeader[] = "containerd-namespace";
inline constexpr char kLeaseHeader[] = "containerd-lease";

// Who calls a service: clients, or another daemon that keeps namespaces and leases of its own and
// has only its blobs or snapshots here, as containerd does with a proxy plugin.
enum class Caller { kClient, kDaemon };

// What every request brings in its headers.
struct RequestContext {
  std::string ns;     // containerd-namespace; empty (a daemon's): whichever holds the thing
  std::string lease;  // containerd-lease; may be empty
};

// A daemon may leave out the namespace, and its leases mean nothing here: they are passed over.
// Errors: FailedPrecondition if a client sends no namespace header, InvalidArgument if what it says
// is no identifier.
absl::StatusOr<RequestContext> ContextOf(const grpc::CallbackServerContext& context,
                                         Caller caller = Caller::kClient);

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_CONTEXT_H_
