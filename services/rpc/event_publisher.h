#ifndef GANTRY_SERVICES_RPC_EVENT_PUBLISHER_H_
#define GANTRY_SERVICES_RPC_EVENT_PUBLISHER_H_

#include <google/protobuf/message.h>

#include "absl/strings/string_view.h"

namespace gantry::rpc {

// Where adapters announce what they have done. Thread-safe; never blocks on a subscriber.
class EventPublisher {
 public:
  virtual ~EventPublisher() = default;
  // `topic` is containerd's ("/images/create"), `event` a message of containerd.events or the like.
  virtual void Publish(absl::string_view ns, absl::string_view topic,
                       const google::protobuf::Message& event) = 0;
};

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_EVENT_PUBLISHER_H_
