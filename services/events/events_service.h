#ifndef GANTRY_SERVICES_EVENTS_EVENTS_SERVICE_H_
#define GANTRY_SERVICES_EVENTS_EVENTS_SERVICE_H_

#include "base/executor.h"
#include "proto/containerd/services/events/v1/events.grpc.pb.h"
#include "services/events/event_bus.h"

namespace gantry::events {

// containerd.services.events.v1.Events over an EventBus. A subscriber holds no thread: its stream
// writes when the bus has news and the last write is done.
class EventsService final : public containerd::services::events::v1::Events::CallbackService {
 public:
  EventsService(EventBus& bus, Executor& executor) : bus_(bus), executor_(executor) {}

  grpc::ServerUnaryReactor* Publish(grpc::CallbackServerContext* context,
                                    const containerd::services::events::v1::PublishRequest* request,
                                    google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Forward(grpc::CallbackServerContext* context,
                                    const containerd::services::events::v1::ForwardRequest* request,
                                    google::protobuf::Empty* response) override;
  grpc::ServerWriteReactor<containerd::types::Envelope>* Subscribe(
      grpc::CallbackServerContext* context,
      const containerd::services::events::v1::SubscribeRequest* request) override;

 private:
  EventBus& bus_;
  Executor& executor_;
};

}  // namespace gantry::events

#endif  // GANTRY_SERVICES_EVENTS_EVENTS_SERVICE_H_
