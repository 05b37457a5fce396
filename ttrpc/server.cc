#include "ttrpc/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/log.h"

namespace gantry::ttrpc {

struct Server::Peer {
  std::shared_ptr<Connection> connection;
  size_t calls_under_way = 0;
  uint32_t last_stream = 0;
};

Server::~Server() {
  if (listener_.valid()) loop_.Remove(listener_.get());
  const std::unordered_set<std::shared_ptr<Peer>> peers = std::move(peers_);
  peers_.clear();
  for (const std::shared_ptr<Peer>& peer : peers) {
    peer->connection->Close(absl::UnavailableError("ttrpc: the server ends"));
  }
}

void Server::Register(absl::string_view service, absl::string_view method, Handler handler) {
  handlers_[absl::StrCat(service, "/", method)] = std::move(handler);
}

absl::Status Server::Serve(UniqueFd listening_socket) {
  const int flags = ::fcntl(listening_socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(listening_socket.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoError(errno, "make the ttrpc listening socket non-blocking");
  }
  GANTRY_RETURN_IF_ERROR(
      loop_.Add(listening_socket.get(), EPOLLIN, [this](uint32_t) { Accept(); }));
  listener_ = std::move(listening_socket);
  return absl::OkStatus();
}

bool Server::Idle() const {
  for (const std::shared_ptr<Peer>& peer : peers_) {
    if (peer->calls_under_way != 0 || peer->connection->queued_bytes() != 0) return false;
  }
  return true;
}

void Server::Accept() {
  for (;;) {
    UniqueFd socket(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN) LogError(ErrnoError(errno, "accept a ttrpc connection").message());
      return;
    }
    if (options_.root_peers_only) {
      ucred peer{};
      socklen_t size = sizeof peer;
      if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.uid != 0) {
        continue;
      }
    }
    if (peers_.size() >= options_.max_connections) continue;
    auto peer = std::make_shared<Peer>();
    peer->connection = Connection::Create(loop_, std::move(socket));
    peers_.insert(peer);
    const std::weak_ptr<Peer> weak = peer;
    peer->connection->Start(
        [this, weak](const FrameHeader& header, std::string body) {
          if (const auto self = weak.lock()) HandleFrame(self, header, std::move(body));
        },
        [this, weak](const absl::Status&) {
          if (const auto self = weak.lock()) peers_.erase(self);
        });
  }
}

void Server::HandleFrame(const std::shared_ptr<Peer>& peer, const FrameHeader& header,
                         std::string body) {
  // Streaming is not spoken here, so after a request nothing but further requests can be meant.
  if (header.type != kRequestFrame || header.stream % 2 == 0 ||
      header.stream <= peer->last_stream) {
    peer->connection->Close(absl::InvalidArgumentError(
        absl::StrCat("ttrpc: the peer sent frame type ", static_cast<int>(header.type),
                     " on stream ", header.stream, ", where a new request was expected")));
    return;
  }
  peer->last_stream = header.stream;
  ++peer->calls_under_way;
  Reply reply = [weak = std::weak_ptr<Peer>(peer), stream = header.stream,
                 given = std::make_shared<bool>(false)](absl::StatusOr<std::string> result) {
    if (std::exchange(*given, true)) return;
    const std::shared_ptr<Peer> self = weak.lock();
    if (self == nullptr) return;
    --self->calls_under_way;
    std::string encoded = EncodeResponse(result);
    if (encoded.size() > kMaxBodyBytes) {
      encoded = EncodeResponse(absl::ResourceExhaustedError(absl::StrCat(
          "ttrpc: the response has ", encoded.size(), " bytes, more than ", kMaxBodyBytes)));
    }
    self->connection->Send(EncodeFrame(stream, kResponseFrame, 0, encoded));
  };
  absl::StatusOr<Request> request = DecodeRequest(body);
  if (!request.ok()) return reply(request.status());
  const auto found = handlers_.find(absl::StrCat(request->service, "/", request->method));
  if (found == handlers_.end()) {
    return reply(absl::UnimplementedError(
        absl::StrCat("method /", request->service, "/", request->method, " is not implemented")));
  }
  Call call{std::move(request->payload), std::move(request->metadata), std::nullopt};
  if (request->timeout_nanos > 0) {
    call.deadline = absl::Now() + absl::Nanoseconds(request->timeout_nanos);
  }
  found->second(std::move(call), std::move(reply));
}

}  // namespace gantry::ttrpc
