#ifndef GANTRY_SERVICES_EVENTS_SUBSCRIBE_REACTOR_H_
#define GANTRY_SERVICES_EVENTS_SUBSCRIBE_REACTOR_H_

#include <grpcpp/grpcpp.h>

#include "proto/containerd/services/events/v1/events.pb.h"
#include "services/events/event_bus.h"

namespace gantry::events {

// Starts the stream of one Events.Subscribe call. The reactor owns itself: gRPC's OnDone ends it.
grpc::ServerWriteReactor<containerd::types::Envelope>* StartSubscription(
    EventBus& bus, const containerd::services::events::v1::SubscribeRequest& request);

}  // namespace gantry::events

#endif  // GANTRY_SERVICES_EVENTS_SUBSCRIBE_REACTOR_H_
