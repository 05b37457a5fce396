#ifndef GANTRY_RUNTIME_ZYGOTE_ZYGOTE_PROTOCOL_H_
#define GANTRY_RUNTIME_ZYGOTE_ZYGOTE_PROTOCOL_H_

#include <string>

#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/zygote/zygote_client.h"

namespace gantry::runtime {

// What goes over the zygote's SOCK_SEQPACKET socket: one packet with one descriptor each way. The
// request carries the shim's listening socket, the answer the forked shim's pidfd.

// Where the zygote finds its socket.
inline constexpr int kZygoteSocketFd = 3;
inline constexpr size_t kMaxZygotePacket = 16384;

std::string EncodeShimRequest(const ShimRequest& request);
absl::StatusOr<ShimRequest> DecodeShimRequest(absl::string_view bytes);
std::string EncodeForkReply(const absl::StatusOr<pid_t>& reply);
absl::StatusOr<pid_t> DecodeForkReply(absl::string_view bytes);

// `fd` may be -1. Errors: errno's.
absl::Status SendPacket(int socket, absl::string_view bytes, int fd);
struct Packet {
  std::string bytes;  // empty: the other end has closed
  UniqueFd fd;
};
absl::StatusOr<Packet> ReceivePacket(int socket);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_ZYGOTE_ZYGOTE_PROTOCOL_H_
