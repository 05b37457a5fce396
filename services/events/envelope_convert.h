#ifndef GANTRY_SERVICES_EVENTS_ENVELOPE_CONVERT_H_
#define GANTRY_SERVICES_EVENTS_ENVELOPE_CONVERT_H_

#include <optional>
#include <span>
#include <string>

#include "proto/containerd/types/event.pb.h"
#include "services/events/event_bus.h"

namespace gantry::events {

void ToProto(const Envelope& envelope, containerd::types::Envelope* proto);
// An envelope without a timestamp gets absl::InfinitePast, which EventBus::Publish refuses.
Envelope FromProto(const containerd::types::Envelope& proto);

// A FieldDecoder over every message type linked into the program: strings, numbers, enums (by
// name), nested messages by path, and maps with string keys (the rest of the path is the key).
std::optional<std::string> DecodeEventField(const Any& event, std::span<const std::string> path);

}  // namespace gantry::events

#endif  // GANTRY_SERVICES_EVENTS_ENVELOPE_CONVERT_H_
