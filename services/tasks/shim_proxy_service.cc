#include "services/tasks/shim_proxy_service.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/support/server_callback.h>

#include "absl/strings/str_cat.h"
#include "base/wire.h"
#include "services/rpc/unary.h"

namespace gantry::tasks {
namespace {

using Handler = grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>;

absl::StatusOr<std::string> BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return absl::InternalError("read the request's bytes");
  std::string bytes;
  bytes.reserve(buffer.Length());
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

absl::StatusOr<std::string> IdOf(const std::string& request) {
  std::string id;
  WireReader reader(request);
  while (reader.Next()) {
    if (reader.field() == 1) id = reader.str();
  }
  if (!reader.status().ok()) {
    return absl::InvalidArgumentError("the request is not a well-formed message");
  }
  if (id.empty()) {
    return absl::InvalidArgumentError("id: must name the container whose shim is asked");
  }
  return id;
}

}  // namespace

ShimProxyService::ShimProxyService(const std::string& name, TaskManager& tasks) : tasks_(tasks) {
  const google::protobuf::ServiceDescriptor* const service =
      google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(name);
  for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
    const std::string method = service->method(i)->name();
    paths_.push_back(absl::StrCat("/", name, "/", method));
    AddMethod(new grpc::internal::RpcServiceMethod(paths_.back().c_str(),
                                                   grpc::internal::RpcMethod::NORMAL_RPC, nullptr));
    MarkMethodRawCallback(
        static_cast<size_t>(i),
        new Handler([this, method](grpc::CallbackServerContext* context,
                                   const grpc::ByteBuffer* request, grpc::ByteBuffer* response) {
          return Forward(method, context, request, response);
        }));
  }
}

grpc::ServerUnaryReactor* ShimProxyService::Forward(const std::string& method,
                                                    grpc::CallbackServerContext* context,
                                                    const grpc::ByteBuffer* request,
                                                    grpc::ByteBuffer* response) {
  return rpc::UnaryAsync(context, [=, this](const rpc::RequestContext& rpc,
                                            const std::shared_ptr<rpc::AsyncReactor>& reactor) {
    absl::StatusOr<std::string> bytes = BytesOf(*request);
    const absl::StatusOr<std::string> id = bytes.ok() ? IdOf(*bytes) : bytes.status();
    if (!id.ok()) return reactor->Complete(id.status());
    tasks_.CallShim(rpc.ns, *id, method, *std::move(bytes),
                    [reactor, response](const absl::StatusOr<std::string>& answer) {
                      reactor->Complete(answer.status(), [&] {
                        const grpc::Slice slice(*answer);
                        *response = grpc::ByteBuffer(&slice, 1);
                      });
                    });
  });
}

}  // namespace gantry::tasks
