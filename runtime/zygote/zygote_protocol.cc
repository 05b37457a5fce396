#include "runtime/zygote/zygote_protocol.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/errors.h"
#include "base/wire.h"

namespace gantry::runtime {

std::string EncodeShimRequest(const ShimRequest& request) {
  WireWriter writer;
  writer.Bytes(1, request.ns);
  writer.Bytes(2, request.id);
  writer.Bytes(3, request.bundle);
  writer.Bytes(4, request.ttrpc_address);
  writer.Bool(5, request.debug);
  return writer.Take();
}

absl::StatusOr<ShimRequest> DecodeShimRequest(absl::string_view bytes) {
  ShimRequest request;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) request.ns = reader.str();
    if (reader.field() == 2) request.id = reader.str();
    if (reader.field() == 3) request.bundle = reader.str();
    if (reader.field() == 4) request.ttrpc_address = reader.str();
    if (reader.field() == 5) request.debug = reader.boolean();
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), "request to the zygote"));
  return request;
}

std::string EncodeForkReply(const absl::StatusOr<pid_t>& reply) {
  WireWriter writer;
  if (reply.ok()) {
    writer.Int(1, *reply);
  } else {
    writer.Int(2, static_cast<int>(reply.status().code()));
    writer.Bytes(3, reply.status().message());
  }
  return writer.Take();
}

absl::StatusOr<pid_t> DecodeForkReply(absl::string_view bytes) {
  pid_t pid = -1;
  int64_t code = 0;
  std::string message;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) pid = static_cast<pid_t>(reader.integer());
    if (reader.field() == 2) code = reader.integer();
    if (reader.field() == 3) message = reader.str();
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), "answer of the zygote"));
  if (code != 0) return absl::Status(static_cast<absl::StatusCode>(code), message);
  if (pid <= 0) return absl::DataLossError("answer of the zygote names no process");
  return pid;
}

absl::Status SendPacket(int socket, absl::string_view bytes, int fd) {
  iovec data{const_cast<char*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return ErrnoError(errno, "send on the zygote's socket");
  }
  return absl::OkStatus();
}

absl::StatusOr<Packet> ReceivePacket(int socket) {
  Packet packet;
  packet.bytes.resize(kMaxZygotePacket);
  iovec data{packet.bytes.data(), packet.bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t got;
  do {
    got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return ErrnoError(errno, "receive on the zygote's socket");
  packet.bytes.resize(static_cast<size_t>(got));
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int fd;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    packet.fd.reset(fd);
  }
  return packet;
}

}  // namespace gantry::runtime
