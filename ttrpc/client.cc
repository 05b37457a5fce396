#include "ttrpc/client.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/errors.h"

namespace gantry::ttrpc {

absl::StatusOr<std::shared_ptr<Client>> Client::Connect(EventLoop& loop,
                                                        const std::string& unix_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (unix_path.empty() || unix_path.size() >= sizeof address.sun_path) {
    return absl::InvalidArgumentError(absl::StrCat("socket path \"", unix_path, "\" does not fit ",
                                                   sizeof address.sun_path - 1, " bytes"));
  }
  std::memcpy(address.sun_path, unix_path.data(), unix_path.size());
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return ErrnoError(errno, "create a unix socket");
  // On a unix socket connect(2) does not wait: a full backlog is EAGAIN at once.
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return ErrnoError(errno, absl::StrCat("connect to ", unix_path));
  }
  return FromSocket(loop, std::move(socket));
}

std::shared_ptr<Client> Client::FromSocket(EventLoop& loop, UniqueFd socket) {
  std::shared_ptr<Client> client(new Client(loop));
  loop.Post([client, fd = std::make_shared<UniqueFd>(std::move(socket))] {
    client->Attach(std::move(*fd));
  });
  return client;
}

Client::~Client() {
  if (connection_ == nullptr && pending_.empty() && on_close_.empty()) return;
  // Whichever thread let go: the connection and the callbacks belong to the loop's.
  loop_.Post([&loop = loop_, connection = std::move(connection_), pending = std::move(pending_),
              on_close = std::move(on_close_)]() mutable {
    if (connection != nullptr) connection->Close(absl::CancelledError("ttrpc: client let go"));
    for (auto& [stream, call] : pending) {
      if (call.timer != 0) loop.Cancel(call.timer);
      call.done(absl::UnavailableError("ttrpc: the client was closed"));
    }
    for (const std::function<void()>& callback : on_close) callback();
  });
}

void Client::Attach(UniqueFd socket) {
  if (closed_) return;
  connection_ = Connection::Create(loop_, std::move(socket));
  const std::weak_ptr<Client> weak = weak_from_this();
  connection_->Start(
      [weak](const FrameHeader& header, std::string body) {
        if (const auto self = weak.lock()) self->HandleFrame(header, std::move(body));
      },
      [weak](const absl::Status& reason) {
        if (const auto self = weak.lock()) self->HandleClose(reason);
      });
}

void Client::CallMethod(absl::string_view service, absl::string_view method, std::string payload,
                        CallOptions options, Done done) {
  auto request = std::make_shared<Request>();
  request->service = std::string(service);
  request->method = std::string(method);
  request->payload = std::move(payload);
  request->metadata = std::move(options.metadata);
  if (options.timeout < absl::InfiniteDuration()) {
    request->timeout_nanos = std::max<int64_t>(1, absl::ToInt64Nanoseconds(options.timeout));
  }
  loop_.Post([self = shared_from_this(), request, timeout = options.timeout,
              done = std::move(done)]() mutable {
    self->Send(std::move(*request), timeout, std::move(done));
  });
}

void Client::Send(Request request, absl::Duration timeout, Done done) {
  if (closed_) return done(absl::UnavailableError("ttrpc: the connection is closed"));
  const std::string body = EncodeRequest(request);
  if (body.size() > kMaxBodyBytes) {
    return done(absl::ResourceExhaustedError(
        absl::StrCat("ttrpc: the request has ", body.size(), " bytes, more than ", kMaxBodyBytes)));
  }
  const uint32_t stream = next_stream_;
  next_stream_ += 2;
  Pending& call = pending_[stream];
  call.done = std::move(done);
  if (timeout < absl::InfiniteDuration()) {
    call.timer = loop_.After(timeout, [weak = weak_from_this(), stream,
                                       name = absl::StrCat(request.service, "/", request.method)] {
      const std::shared_ptr<Client> self = weak.lock();
      if (self == nullptr) return;
      self->Finish(stream, absl::DeadlineExceededError(
                               absl::StrCat("ttrpc: ", name, " was not answered in time")));
    });
  }
  connection_->Send(EncodeFrame(stream, kRequestFrame, 0, body));
  // 2^31 calls on one connection: end it rather than reuse a number.
  if (next_stream_ < stream) Close();
}

void Client::HandleFrame(const FrameHeader& header, std::string body) {
  if (header.type != kResponseFrame) {
    connection_->Close(absl::UnavailableError(absl::StrCat(
        "ttrpc: the peer sent frame type ", static_cast<int>(header.type), " as a response")));
    return;
  }
  // An unknown stream is the late answer to a call that timed out.
  Finish(header.stream, DecodeResponse(body));
}

void Client::Finish(uint32_t stream, absl::StatusOr<std::string> result) {
  auto node = pending_.extract(stream);
  if (node.empty()) return;
  if (node.mapped().timer != 0) loop_.Cancel(node.mapped().timer);
  node.mapped().done(std::move(result));
}

void Client::HandleClose(const absl::Status& reason) {
  if (std::exchange(closed_, true)) return;
  const auto self = shared_from_this();
  while (!pending_.empty()) {
    Finish(pending_.begin()->first, WithCode(reason, absl::StatusCode::kUnavailable));
  }
  const std::vector<std::function<void()>> callbacks = std::move(on_close_);
  on_close_.clear();
  for (const std::function<void()>& callback : callbacks) callback();
}

void Client::OnClose(std::function<void()> callback) {
  loop_.Post([self = shared_from_this(), callback = std::move(callback)]() mutable {
    if (self->closed_) return callback();
    self->on_close_.push_back(std::move(callback));
  });
}

void Client::Close() {
  loop_.Post([self = shared_from_this()] {
    if (self->connection_ != nullptr) {
      self->connection_->Close(absl::UnavailableError("ttrpc: the client was closed"));
    }
    self->HandleClose(absl::UnavailableError("ttrpc: the client was closed"));
  });
}

}  // namespace gantry::ttrpc
