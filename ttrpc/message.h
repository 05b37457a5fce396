#ifndef GANTRY_TTRPC_MESSAGE_H_
#define GANTRY_TTRPC_MESSAGE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace gantry::ttrpc {

// The envelope of ttrpc, written by hand so that this folder needs no protobuf.
// Source: containerd/ttrpc PROTOCOL.md and request.proto.

using Metadata = std::vector<std::pair<std::string, std::string>>;

// Of the body alone, both ways; the header comes on top.
inline constexpr size_t kMaxBodyBytes = size_t{4} << 20;
inline constexpr size_t kHeaderBytes = 10;

enum FrameType : uint8_t { kRequestFrame = 1, kResponseFrame = 2, kDataFrame = 3 };
enum FrameFlags : uint8_t { kRemoteClosed = 1, kRemoteOpen = 2, kNoData = 4 };

struct FrameHeader {
  uint32_t length = 0;
  uint32_t stream = 0;
  uint8_t type = 0;
  uint8_t flags = 0;
};

FrameHeader DecodeHeader(const char (&bytes)[kHeaderBytes]);
// Header and body as they go over the wire; the caller has checked the limit.
std::string EncodeFrame(uint32_t stream, uint8_t type, uint8_t flags, absl::string_view body);

struct Request {
  std::string service;
  std::string method;
  std::string payload;
  int64_t timeout_nanos = 0;  // 0: none
  Metadata metadata;
};
std::string EncodeRequest(const Request& request);
absl::StatusOr<Request> DecodeRequest(absl::string_view body);

// A response is a status (google.rpc.Status) or a payload.
std::string EncodeResponse(const absl::StatusOr<std::string>& result);
absl::StatusOr<std::string> DecodeResponse(absl::string_view body);

}  // namespace gantry::ttrpc

#endif  // GANTRY_TTRPC_MESSAGE_H_
