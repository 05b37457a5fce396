#ifndef GANTRY_SERVICES_EVENTS_BUS_PUBLISHER_H_
#define GANTRY_SERVICES_EVENTS_BUS_PUBLISHER_H_

#include "services/events/event_bus.h"
#include "services/rpc/event_publisher.h"

namespace gantry::events {

// The daemon's own events: stamped now, packed with a bare type name, and put on the bus. What the
// bus refuses is logged, since the act that the event tells of has happened. Thread-safe.
class BusPublisher final : public rpc::EventPublisher {
 public:
  explicit BusPublisher(EventBus& bus) : bus_(bus) {}
  void Publish(absl::string_view ns, absl::string_view topic,
               const google::protobuf::Message& event) override;

 private:
  EventBus& bus_;
};

}  // namespace gantry::events

#endif  // GANTRY_SERVICES_EVENTS_BUS_PUBLISHER_H_
