#ifndef GANTRY_SERVICES_RPC_CONVERT_H_
#define GANTRY_SERVICES_RPC_CONVERT_H_

#include <google/protobuf/any.pb.h>
#include <google/protobuf/field_mask.pb.h>
#include <google/protobuf/map.h>
#include <google/protobuf/timestamp.pb.h>

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/any.h"
#include "base/identifiers.h"
#include "base/time.h"

namespace gantry::rpc {

using ProtoLabels = google::protobuf::Map<std::string, std::string>;

// Messages to vocabulary types and back; each pair loses nothing but labels without a value, which
// this contract has no place for: to send one is to remove it.
void ToProto(absl::Time time, google::protobuf::Timestamp* out);
void ToProto(const WallTime& time, google::protobuf::Timestamp* out);
absl::Time ToTime(const google::protobuf::Timestamp& time);
WallTime ToWallTime(const google::protobuf::Timestamp& time);

void ToProto(const Labels& labels, ProtoLabels* out);
Labels ToLabels(const ProtoLabels& labels);

void ToProto(const Any& any, google::protobuf::Any* out);
Any ToAny(const google::protobuf::Any& any);

// An event or options message as an Any under its bare full name, the way this contract names
// types.
Any PackAny(const google::protobuf::Message& message);

std::vector<std::string> ToPaths(const google::protobuf::FieldMask& mask);

}  // namespace gantry::rpc

#endif  // GANTRY_SERVICES_RPC_CONVERT_H_
