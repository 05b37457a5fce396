#ifndef GANTRY_SERVICES_RPC_FORWARD_H_
#define GANTRY_SERVICES_RPC_FORWARD_H_

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

namespace gantry::rpc {

// Passes calls on to the same service in another process, message by message and byte by byte: a
// message is read when the one before it has been taken by the other side, so that a stream of any
// length needs the memory of two. Headers of containerd's, deadline and cancellation go along.
// Status and messages come back as they are. Thread-safe; blocks nobody.
//
// `method` is the full path, "/package.Service/Method". What a hook is given is good during it; it
// must not block.
class Forwarder {
 public:
  explicit Forwarder(std::shared_ptr<grpc::Channel> channel) : stub_(std::move(channel)) {}

  // `done` runs before an answer that is not an error goes back.
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const std::string& method,
                                  const grpc::ByteBuffer* request, grpc::ByteBuffer* response,
                                  std::function<void()> done = nullptr);
  grpc::ServerWriteReactor<grpc::ByteBuffer>* ServerStream(grpc::CallbackServerContext* context,
                                                           const std::string& method,
                                                           const grpc::ByteBuffer* request);
  // `answered` runs for each message that comes back.
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* Bidi(
      grpc::CallbackServerContext* context, const std::string& method,
      std::function<void(const grpc::ByteBuffer&)> answered = nullptr);

 private:
  grpc::GenericStub stub_;
};

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_FORWARD_H_
