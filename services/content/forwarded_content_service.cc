#include "services/content/forwarded_content_service.h"

#include "proto/containerd/events/content.pb.h"
#include "services/rpc/context.h"

namespace gantry::content {
namespace {

namespace api = containerd::services::content::v1;
using grpc::ByteBuffer;

std::string Method(const char* name) {
  return absl::StrCat("/", RawContent::service_full_name(), "/", name);
}

// False for bytes that are no such message: whoever they were meant for has refused them.
template <typename Message>
bool Parse(const ByteBuffer& bytes, Message* message) {
  ByteBuffer copy = bytes;  // of the references, not of the bytes
  return grpc::SerializationTraits<Message>::Deserialize(&copy, message).ok();
}

std::string NamespaceOf(const grpc::CallbackServerContext& context) {
  const absl::StatusOr<rpc::RequestContext> request = rpc::ContextOf(context);
  return request.ok() ? request->ns : "";
}

}  // namespace

grpc::ServerUnaryReactor* ForwardedContentService::Info(grpc::CallbackServerContext* context,
                                                        const ByteBuffer* request,
                                                        ByteBuffer* response) {
  return forwarder_.Unary(context, Method("Info"), request, response);
}

grpc::ServerUnaryReactor* ForwardedContentService::Update(grpc::CallbackServerContext* context,
                                                          const ByteBuffer* request,
                                                          ByteBuffer* response) {
  return forwarder_.Unary(context, Method("Update"), request, response);
}

grpc::ServerWriteReactor<ByteBuffer>* ForwardedContentService::List(
    grpc::CallbackServerContext* context, const ByteBuffer* request) {
  return forwarder_.ServerStream(context, Method("List"), request);
}

grpc::ServerUnaryReactor* ForwardedContentService::Delete(grpc::CallbackServerContext* context,
                                                          const ByteBuffer* request,
                                                          ByteBuffer* response) {
  return forwarder_.Unary(context, Method("Delete"), request, response, [=, this] {
    api::DeleteContentRequest deleted;
    const std::string ns = NamespaceOf(*context);
    if (ns.empty() || !Parse(*request, &deleted)) return;
    containerd::events::ContentDelete event;
    event.set_digest(deleted.digest());
    events_.Publish(ns, "/content/delete", event);
  });
}

grpc::ServerWriteReactor<ByteBuffer>* ForwardedContentService::Read(
    grpc::CallbackServerContext* context, const ByteBuffer* request) {
  return forwarder_.ServerStream(context, Method("Read"), request);
}

grpc::ServerUnaryReactor* ForwardedContentService::Status(grpc::CallbackServerContext* context,
                                                          const ByteBuffer* request,
                                                          ByteBuffer* response) {
  return forwarder_.Unary(context, Method("Status"), request, response);
}

grpc::ServerUnaryReactor* ForwardedContentService::ListStatuses(
    grpc::CallbackServerContext* context, const ByteBuffer* request, ByteBuffer* response) {
  return forwarder_.Unary(context, Method("ListStatuses"), request, response);
}

grpc::ServerBidiReactor<ByteBuffer, ByteBuffer>* ForwardedContentService::Write(
    grpc::CallbackServerContext* context) {
  return forwarder_.Bidi(
      context, Method("Write"), [ns = NamespaceOf(*context), this](const ByteBuffer& bytes) {
        api::WriteContentResponse answer;
        if (ns.empty() || !Parse(bytes, &answer) || answer.action() != api::COMMIT) return;
        containerd::events::ContentCreate event;
        event.set_digest(answer.digest());
        event.set_size(answer.offset());
        events_.Publish(ns, "/content/create", event);
      });
}

grpc::ServerUnaryReactor* ForwardedContentService::Abort(grpc::CallbackServerContext* context,
                                                         const ByteBuffer* request,
                                                         ByteBuffer* response) {
  return forwarder_.Unary(context, Method("Abort"), request, response);
}

}  // namespace gantry::content
