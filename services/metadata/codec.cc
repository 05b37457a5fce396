#include "services/metadata/codec.h"

#include "base/time.h"

namespace gantry::metadata {

void PutTime(WireWriter& writer, uint32_t field, absl::Time time) {
  const WallTime wall = ToWallTime(time);
  WireWriter nested;
  nested.Int(1, wall.seconds);
  nested.Int(2, wall.nanos);
  writer.Element(field, nested.bytes());
}

absl::Time GetTime(const WireReader& reader) { return GetTime(reader.bytes()); }

absl::Time GetTime(absl::string_view bytes) {
  WallTime wall;
  WireReader nested(bytes);
  while (nested.Next()) {
    if (nested.field() == 1) wall.seconds = nested.integer();
    if (nested.field() == 2) wall.nanos = static_cast<int32_t>(nested.integer());
  }
  return FromWallTime(wall);
}

void PutLabels(WireWriter& writer, uint32_t field, const Labels& labels) {
  for (const auto& [key, value] : labels) writer.MapEntry(field, key, value);
}

void PutAny(WireWriter& writer, uint32_t field, const Any& any) {
  if (any == Any{}) return;
  WireWriter nested;
  nested.Bytes(1, any.type_url);
  nested.Bytes(2, any.value);
  writer.Element(field, nested.bytes());
}

Any GetAny(absl::string_view bytes) {
  Any any;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) any.type_url = reader.str();
    if (reader.field() == 2) any.value = reader.str();
  }
  return any;
}

}  // namespace gantry::metadata
