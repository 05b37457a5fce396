#include "runtime/cgroup/dbus_message.h"

#include "base/errors.h"

namespace gantry::runtime {
namespace {

// Header fields.
constexpr uint8_t kPath = 1;
constexpr uint8_t kInterface = 2;
constexpr uint8_t kMember = 3;
constexpr uint8_t kErrorName = 4;
constexpr uint8_t kReplySerial = 5;
constexpr uint8_t kSignature = 8;

void Put(std::string* bytes, uint64_t value, size_t count) {
  for (size_t i = 0; i < count; ++i) *bytes += static_cast<char>(value >> (8 * i));
}

uint32_t Number(absl::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  }
  return value;
}

size_t Padded(size_t size) { return (size + 7) / 8 * 8; }

void HeaderField(DBusWriter& writer, uint8_t code, absl::string_view type,
                 absl::string_view value) {
  writer.Align(8);
  writer.Byte(code);
  writer.Signature(type);
  if (type == "g") {
    writer.Signature(value);
  } else {
    writer.String(value);
  }
}

absl::Status Malformed() { return absl::DataLossError("a malformed D-Bus message"); }

}  // namespace

void DBusWriter::Align(size_t boundary) {
  while (bytes_.size() % boundary != 0) bytes_ += '\0';
}

void DBusWriter::Uint32(uint32_t value) {
  Align(4);
  Put(&bytes_, value, 4);
}

void DBusWriter::Uint64(uint64_t value) {
  Align(8);
  Put(&bytes_, value, 8);
}

void DBusWriter::String(absl::string_view value) {
  Uint32(static_cast<uint32_t>(value.size()));
  bytes_.append(value.data(), value.size());
  bytes_ += '\0';
}

void DBusWriter::Signature(absl::string_view value) {
  Byte(static_cast<uint8_t>(value.size()));
  bytes_.append(value.data(), value.size());
  bytes_ += '\0';
}

DBusWriter::Array DBusWriter::BeginArray(size_t boundary) {
  Align(4);
  Array array{bytes_.size(), 0};
  Uint32(0);
  // The padding before the first element is not part of the array's length.
  Align(boundary);
  array.begin = bytes_.size();
  return array;
}

void DBusWriter::EndArray(const Array& array) {
  std::string length;
  Put(&length, bytes_.size() - array.begin, 4);
  bytes_.replace(array.length_at, 4, length);
}

bool DBusReader::Take(size_t count) {
  if (ok_ && count <= bytes_.size() - at_) return true;
  ok_ = false;
  return false;
}

void DBusReader::Align(size_t boundary) {
  const size_t to = (at_ + boundary - 1) / boundary * boundary;
  if (Take(to - at_)) at_ = to;
}

uint8_t DBusReader::Byte() {
  if (!Take(1)) return 0;
  return static_cast<uint8_t>(bytes_[at_++]);
}

uint32_t DBusReader::Uint32() {
  Align(4);
  if (!Take(4)) return 0;
  const uint32_t value = Number(bytes_, at_);
  at_ += 4;
  return value;
}

std::string DBusReader::String() {
  const size_t size = Uint32();
  if (!Take(size) || !Take(size + 1)) return "";
  const absl::string_view value = bytes_.substr(at_, size);
  at_ += size + 1;
  return std::string(value);
}

std::string DBusReader::Signature() {
  const size_t size = Byte();
  if (!Take(size + 1)) return "";
  const absl::string_view value = bytes_.substr(at_, size);
  at_ += size + 1;
  return std::string(value);
}

std::string EncodeCall(const DBusCall& call, uint32_t serial) {
  DBusWriter writer;
  writer.Byte('l');
  writer.Byte(static_cast<uint8_t>(DBusType::kCall));
  writer.Byte(0);  // flags: a reply is wanted
  writer.Byte(1);  // version of the protocol
  writer.Uint32(static_cast<uint32_t>(call.body.size()));
  writer.Uint32(serial);
  const DBusWriter::Array fields = writer.BeginArray(8);
  HeaderField(writer, kPath, "o", call.path);
  HeaderField(writer, kInterface, "s", call.interface);
  HeaderField(writer, kMember, "s", call.member);
  if (!call.signature.empty()) HeaderField(writer, kSignature, "g", call.signature);
  writer.EndArray(fields);
  writer.Align(8);
  return writer.bytes() + call.body;
}

absl::StatusOr<size_t> DBusMessageSize(absl::string_view fixed_header) {
  if (fixed_header.size() < kDBusFixedHeader || fixed_header[0] != 'l' || fixed_header[3] != 1) {
    return Malformed();
  }
  const size_t body = Number(fixed_header, 4);
  const size_t fields = Number(fixed_header, 12);
  if (body > kDBusMaxMessage || fields > kDBusMaxMessage) return Malformed();
  const size_t size = Padded(kDBusFixedHeader + fields) + body;
  if (size > kDBusMaxMessage) return Malformed();
  return size;
}

absl::StatusOr<DBusMessage> DecodeMessage(absl::string_view bytes) {
  GANTRY_ASSIGN_OR_RETURN(const size_t size, DBusMessageSize(bytes));
  if (size != bytes.size()) return Malformed();
  DBusMessage message;
  message.type = static_cast<DBusType>(bytes[1]);
  const size_t fields_end = kDBusFixedHeader + Number(bytes, 12);
  DBusReader reader(bytes.substr(0, fields_end));
  for (size_t i = 0; i < kDBusFixedHeader; ++i) reader.Byte();
  while (!reader.AtEnd(fields_end)) {
    reader.Align(8);
    const uint8_t code = reader.Byte();
    const std::string type = reader.Signature();
    if (type == "u") {
      const uint32_t value = reader.Uint32();
      if (code == kReplySerial) message.reply_to = value;
    } else if (type == "g") {
      const std::string value = reader.Signature();
      if (code == kSignature) message.signature = value;
    } else if (type == "s" || type == "o") {
      std::string value = reader.String();
      if (code == kMember) message.member = std::move(value);
      if (code == kErrorName) message.error = std::move(value);
    } else {
      return Malformed();
    }
  }
  if (!reader.ok()) return Malformed();
  message.body = std::string(bytes.substr(Padded(fields_end)));
  return message;
}

}  // namespace gantry::runtime
