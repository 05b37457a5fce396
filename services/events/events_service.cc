#include "services/events/events_service.h"

#include "absl/time/clock.h"
#include "services/events/envelope_convert.h"
#include "services/events/subscribe_reactor.h"
#include "services/rpc/unary.h"

namespace gantry::events {

grpc::ServerUnaryReactor* EventsService::Publish(
    grpc::CallbackServerContext* context,
    const containerd::services::events::v1::PublishRequest* request, google::protobuf::Empty*) {
  return rpc::Unary(context, executor_, [this, request](const rpc::RequestContext& caller) {
    return bus_.Publish(
        {.timestamp = absl::Now(),
         .ns = caller.ns,
         .topic = request->topic(),
         .event = {.type_url = request->event().type_url(), .value = request->event().value()}});
  });
}

grpc::ServerUnaryReactor* EventsService::Forward(
    grpc::CallbackServerContext* context,
    const containerd::services::events::v1::ForwardRequest* request, google::protobuf::Empty*) {
  return rpc::UnaryWithoutNamespace(context, executor_, [this, request]() -> absl::Status {
    if (!request->has_envelope()) return absl::InvalidArgumentError("envelope is required");
    return bus_.Publish(FromProto(request->envelope()));
  });
}

grpc::ServerWriteReactor<containerd::types::Envelope>* EventsService::Subscribe(
    grpc::CallbackServerContext*,
    const containerd::services::events::v1::SubscribeRequest* request) {
  return StartSubscription(bus_, *request);
}

}  // namespace gantry::events
