#include "ttrpc/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/errors.h"

namespace gantry::ttrpc {
namespace {

constexpr size_t kReadBytes = 4096;
constexpr int kReadsPerTurn = 4;

}  // namespace

std::shared_ptr<Connection> Connection::Create(EventLoop& loop, UniqueFd socket) {
  return std::shared_ptr<Connection>(new Connection(loop, std::move(socket)));
}

Connection::~Connection() {
  if (socket_.valid()) loop_.Remove(socket_.get());
}

void Connection::Start(OnFrame on_frame, OnClose on_close) {
  on_frame_ = std::move(on_frame);
  on_close_ = std::move(on_close);
  watched_ = EPOLLIN;
  // The loop must not keep the connection alive: its owner decides when it ends.
  const absl::Status added =
      loop_.Add(socket_.get(), watched_, [weak = weak_from_this()](uint32_t events) {
        if (const std::shared_ptr<Connection> self = weak.lock()) self->HandleEvents(events);
      });
  if (!added.ok()) Close(added);
}

void Connection::HandleEvents(uint32_t events) {
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0 && !WriteSome()) return;
  if (!held_.empty() && !TooMuchWaits() && !Consume(std::exchange(held_, std::string()))) return;
  // A hang-up is read like data: what the peer sent before it still counts.
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && held_.empty() && !ReadSome()) return;
  Watch();
}

bool Connection::ReadSome() {
  // One bounded turn, so that a fast peer cannot keep the loop to itself.
  for (int turn = 0; turn < kReadsPerTurn && !closed() && held_.empty(); ++turn) {
    // A small frame comes with one read, header and all; the bulk of a large one is not copied.
    char buffer[kReadBytes];
    const bool bulk = header_got_ == kHeaderBytes && body_.size() - body_got_ >= sizeof buffer;
    char* const to = bulk ? body_.data() + body_got_ : buffer;
    const size_t want = bulk ? body_.size() - body_got_ : sizeof buffer;
    const ssize_t got = ::recv(socket_.get(), to, want, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got <= 0) {
      Close(got == 0 ? absl::UnavailableError("ttrpc: the peer closed the connection")
                     : WithCode(ErrnoError(errno, "ttrpc: read from the peer"),
                                absl::StatusCode::kUnavailable));
      return false;
    }
    if (bulk) {
      body_got_ += static_cast<size_t>(got);
      if (body_got_ == body_.size() && !FinishFrame()) return false;
    } else if (!Consume(absl::string_view(buffer, static_cast<size_t>(got)))) {
      return false;
    }
    // There was no more; what comes from now on wakes the loop.
    if (static_cast<size_t>(got) < want) break;
  }
  return !closed();
}

bool Connection::Consume(absl::string_view bytes) {
  while (!bytes.empty()) {
    if (header_got_ < kHeaderBytes) {
      const size_t part = std::min(kHeaderBytes - header_got_, bytes.size());
      std::memcpy(header_ + header_got_, bytes.data(), part);
      header_got_ += part;
      bytes.remove_prefix(part);
      if (header_got_ < kHeaderBytes) return true;
      frame_ = DecodeHeader(header_);
      if (frame_.length > kMaxBodyBytes) {
        Close(absl::UnavailableError(absl::StrCat("ttrpc: the peer sent a frame of ", frame_.length,
                                                  " bytes, more than ", kMaxBodyBytes)));
        return false;
      }
      body_.assign(frame_.length, '\0');
      body_got_ = 0;
    }
    const size_t part = std::min(body_.size() - body_got_, bytes.size());
    std::memcpy(body_.data() + body_got_, bytes.data(), part);
    body_got_ += part;
    bytes.remove_prefix(part);
    if (body_got_ < body_.size()) return true;
    if (!FinishFrame()) return false;
    if (TooMuchWaits()) {
      held_ = std::string(bytes);
      return true;
    }
  }
  return true;
}

bool Connection::FinishFrame() {
  header_got_ = 0;
  body_got_ = 0;
  on_frame_(frame_, std::exchange(body_, std::string()));
  return !closed();
}

void Connection::Send(std::string frame) {
  if (closed()) return;
  queued_bytes_ += frame.size();
  queue_.push_back(std::move(frame));
  if (!WriteSome()) return;
  if (queued_bytes_ > kMaxQueuedBytes) {
    Close(absl::UnavailableError("ttrpc: the peer does not read what is sent to it"));
    return;
  }
  Watch();
}

bool Connection::WriteSome() {
  while (!queue_.empty()) {
    const std::string& front = queue_.front();
    const ssize_t sent = ::send(socket_.get(), front.data() + front_sent_,
                                front.size() - front_sent_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) return true;
    if (sent < 0) {
      Close(
          WithCode(ErrnoError(errno, "ttrpc: write to the peer"), absl::StatusCode::kUnavailable));
      return false;
    }
    front_sent_ += static_cast<size_t>(sent);
    queued_bytes_ -= static_cast<size_t>(sent);
    if (front_sent_ < front.size()) continue;
    queue_.pop_front();
    front_sent_ = 0;
  }
  return true;
}

void Connection::Watch() {
  if (closed()) return;
  // Who lets replies pile up is not read from either: its next request would only add to them.
  uint32_t wanted = TooMuchWaits() || !held_.empty() ? 0 : uint32_t{EPOLLIN};
  if (!queue_.empty() || !held_.empty()) wanted |= EPOLLOUT;
  if (wanted == watched_) return;
  watched_ = wanted;
  if (absl::Status status = loop_.Modify(socket_.get(), wanted); !status.ok()) Close(status);
}

void Connection::Close(const absl::Status& reason) {
  if (closed()) return;
  const std::shared_ptr<Connection> self = shared_from_this();  // the callback may drop the owner's
  loop_.Remove(socket_.get());
  socket_.reset();
  queue_.clear();
  queued_bytes_ = 0;
  on_frame_ = nullptr;
  OnClose on_close = std::move(on_close_);
  on_close_ = nullptr;
  if (on_close) on_close(reason);
}

}  // namespace gantry::ttrpc
