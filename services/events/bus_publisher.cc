#include "services/events/bus_publisher.h"

#include <google/protobuf/message.h>

#include "absl/time/clock.h"
#include "base/log.h"

namespace gantry::events {

void BusPublisher::Publish(absl::string_view ns, absl::string_view topic,
                           const google::protobuf::Message& event) {
  // What a daemon has made that keeps namespaces itself: it also tells of it itself.
  if (ns.empty()) return;
  const absl::Status published = bus_.Publish({
      .timestamp = absl::Now(),
      .ns = std::string(ns),
      .topic = std::string(topic),
      .event = {.type_url = event.GetTypeName(), .value = event.SerializeAsString()},
  });
  if (!published.ok()) {
    LogError("publish event", {{"topic", std::string(topic)},
                               {"namespace", std::string(ns)},
                               {"error", published.ToString()}});
  }
}

}  // namespace gantry::events
