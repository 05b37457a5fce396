#ifndef GANTRY_SERVICES_RPC_STATUS_H_
#define GANTRY_SERVICES_RPC_STATUS_H_

#include <grpcpp/support/status.h>

#include "absl/status/status.h"

namespace gantry::rpc {

// The only place where the two enums meet; they agree number by number.
grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_STATUS_H_
