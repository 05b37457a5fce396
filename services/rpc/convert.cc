#include "services/rpc/convert.h"

namespace gantry::rpc {

void ToProto(absl::Time time, google::protobuf::Timestamp* out) {
  ToProto(gantry::ToWallTime(time), out);
}

void ToProto(const WallTime& time, google::protobuf::Timestamp* out) {
  out->set_seconds(time.seconds);
  out->set_nanos(time.nanos);
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return FromWallTime(ToWallTime(time));
}

WallTime ToWallTime(const google::protobuf::Timestamp& time) {
  return WallTime{time.seconds(), time.nanos()};
}

void ToProto(const Labels& labels, ProtoLabels* out) {
  for (const auto& [key, value] : labels) (*out)[key] = value;
}

Labels ToLabels(const ProtoLabels& labels) {
  Labels kept;
  for (const auto& [key, value] : labels) {
    if (!value.empty()) kept.emplace(key, value);
  }
  return kept;
}

void ToProto(const Any& any, google::protobuf::Any* out) {
  out->set_type_url(any.type_url);
  out->set_value(any.value);
}

Any ToAny(const google::protobuf::Any& any) { return Any{any.type_url(), any.value()}; }

Any PackAny(const google::protobuf::Message& message) {
  return Any{message.GetDescriptor()->full_name(), message.SerializeAsString()};
}

std::vector<std::string> ToPaths(const google::protobuf::FieldMask& mask) {
  return {mask.paths().begin(), mask.paths().end()};
}

}  // namespace gantry::rpc
