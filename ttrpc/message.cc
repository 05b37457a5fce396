#include "ttrpc/message.h"

#include "base/errors.h"
#include "base/wire.h"

namespace gantry::ttrpc {
namespace {

uint32_t BigEndian(const char* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

void AppendBigEndian(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

}  // namespace

FrameHeader DecodeHeader(const char (&bytes)[kHeaderBytes]) {
  return {BigEndian(bytes), BigEndian(bytes + 4), static_cast<uint8_t>(bytes[8]),
          static_cast<uint8_t>(bytes[9])};
}

std::string EncodeFrame(uint32_t stream, uint8_t type, uint8_t flags, absl::string_view body) {
  std::string frame;
  frame.reserve(kHeaderBytes + body.size());
  AppendBigEndian(frame, static_cast<uint32_t>(body.size()));
  AppendBigEndian(frame, stream);
  frame.push_back(static_cast<char>(type));
  frame.push_back(static_cast<char>(flags));
  frame.append(body.data(), body.size());
  return frame;
}

std::string EncodeRequest(const Request& request) {
  WireWriter writer;
  writer.Bytes(1, request.service);
  writer.Bytes(2, request.method);
  writer.Bytes(3, request.payload);
  writer.Int(4, request.timeout_nanos);
  // ttrpc.KeyValue has the shape of a map's entry, and the order and repetition of keys are kept.
  for (const auto& [key, value] : request.metadata) writer.MapEntry(5, key, value);
  return writer.Take();
}

absl::StatusOr<Request> DecodeRequest(absl::string_view body) {
  Request request;
  WireReader reader(body);
  while (reader.Next()) {
    switch (reader.field()) {
      case 1:
        request.service = reader.str();
        break;
      case 2:
        request.method = reader.str();
        break;
      case 3:
        request.payload = reader.str();
        break;
      case 4:
        request.timeout_nanos = reader.integer();
        break;
      case 5:
        request.metadata.push_back(reader.map_entry());
        break;
      default:
        break;
    }
  }
  GANTRY_RETURN_IF_ERROR(
      WithCode(Annotate(reader.status(), "ttrpc request"), absl::StatusCode::kInvalidArgument));
  return request;
}

std::string EncodeResponse(const absl::StatusOr<std::string>& result) {
  WireWriter writer;
  if (result.ok()) {
    writer.Bytes(2, *result);
  } else {
    WireWriter status;
    status.Int(1, static_cast<int>(result.status().code()));
    status.Bytes(2, result.status().message());
    writer.Element(1, status.bytes());
  }
  return writer.Take();
}

absl::StatusOr<std::string> DecodeResponse(absl::string_view body) {
  std::string payload;
  int64_t code = 0;
  std::string message;
  WireReader reader(body);
  while (reader.Next()) {
    if (reader.field() == 2) payload = reader.str();
    if (reader.field() != 1) continue;
    WireReader status(reader.bytes());
    while (status.Next()) {
      if (status.field() == 1) code = status.integer();
      if (status.field() == 2) message = status.str();
    }
    GANTRY_RETURN_IF_ERROR(Annotate(status.status(), "status of a ttrpc response"));
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), "ttrpc response"));
  if (code == 0) return payload;
  if (code < 0 || code > 16) code = static_cast<int>(absl::StatusCode::kUnknown);
  return absl::Status(static_cast<absl::StatusCode>(code), message);
}

}  // namespace gantry::ttrpc
