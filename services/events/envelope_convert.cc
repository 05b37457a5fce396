#include "services/events/envelope_convert.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/time.h"

namespace gantry::events {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string ScalarText(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection->GetString(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return reflection->GetEnum(message, field)->name();
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(reflection->GetUInt32(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection->GetUInt64(message, field));
    default:
      return "";
  }
}

std::optional<std::string> MapValue(const Message& message, const FieldDescriptor* field,
                                    const std::string& key) {
  const FieldDescriptor* key_field = field->message_type()->map_key();
  const FieldDescriptor* value_field = field->message_type()->map_value();
  if (key_field->cpp_type() != FieldDescriptor::CPPTYPE_STRING) return std::nullopt;
  const Reflection* reflection = message.GetReflection();
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& entry = reflection->GetRepeatedMessage(message, field, i);
    if (entry.GetReflection()->GetString(entry, key_field) == key) {
      return ScalarText(entry, value_field);
    }
  }
  return std::nullopt;
}

std::optional<std::string> FieldAt(const Message& message, std::span<const std::string> path) {
  const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(path[0]);
  if (field == nullptr) return std::nullopt;
  if (field->is_map()) return MapValue(message, field, absl::StrJoin(path.subspan(1), "."));
  if (field->is_repeated()) return std::nullopt;
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    const Reflection* reflection = message.GetReflection();
    if (path.size() < 2 || !reflection->HasField(message, field)) return std::nullopt;
    return FieldAt(reflection->GetMessage(message, field), path.subspan(1));
  }
  if (path.size() > 1) return std::nullopt;
  // A filter that only asks for presence does not match an empty field.
  std::string text = ScalarText(message, field);
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace

void ToProto(const Envelope& envelope, containerd::types::Envelope* proto) {
  proto->Clear();
  const WallTime time = ToWallTime(envelope.timestamp);
  proto->mutable_timestamp()->set_seconds(time.seconds);
  proto->mutable_timestamp()->set_nanos(time.nanos);
  proto->set_namespace_(envelope.ns);
  proto->set_topic(envelope.topic);
  proto->mutable_event()->set_type_url(envelope.event.type_url);
  proto->mutable_event()->set_value(envelope.event.value);
}

Envelope FromProto(const containerd::types::Envelope& proto) {
  return {.timestamp = proto.has_timestamp() ? FromWallTime({.seconds = proto.timestamp().seconds(),
                                                             .nanos = proto.timestamp().nanos()})
                                             : absl::InfinitePast(),
          .ns = proto.namespace_(),
          .topic = proto.topic(),
          .event = {.type_url = proto.event().type_url(), .value = proto.event().value()}};
}

std::optional<std::string> DecodeEventField(const Any& event, std::span<const std::string> path) {
  const size_t slash = event.type_url.rfind('/');
  const std::string name =
      slash == std::string::npos ? event.type_url : event.type_url.substr(slash + 1);
  const google::protobuf::Descriptor* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
  if (type == nullptr || path.empty()) return std::nullopt;
  const Message* prototype =
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
  if (prototype == nullptr) return std::nullopt;
  const std::unique_ptr<Message> message(prototype->New());
  if (!message->ParseFromString(event.value)) return std::nullopt;
  return FieldAt(*message, path);
}

}  // namespace gantry::events
