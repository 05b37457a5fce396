#ifndef GANTRY_SERVICES_RPC_RAW_H_
#define GANTRY_SERVICES_RPC_RAW_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "base/errors.h"
#include "services/rpc/status.h"

namespace gantry::rpc {

// The request of a method whose messages gRPC hands over as bytes. Errors: as gRPC itself has them
// for bytes that are no such message.
template <typename Request>
absl::StatusOr<Request> Parse(grpc::ByteBuffer bytes) {
  Request request;
  const grpc::Status parsed = grpc::SerializationTraits<Request>::Deserialize(&bytes, &request);
  if (!parsed.ok()) return Annotate(FromGrpc(parsed), "request");
  return request;
}

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_RAW_H_
