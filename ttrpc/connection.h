#ifndef GANTRY_TTRPC_CONNECTION_H_
#define GANTRY_TTRPC_CONNECTION_H_

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "ttrpc/message.h"

namespace gantry::ttrpc {

// Frames over one socket, for client and server alike: partial reads and writes, the size limit and
// the bound on what waits to be written. Loop thread only. It ends itself, with OnClose called
// once, when the peer leaves, breaks the framing, or lets more than `kMaxQueuedBytes` wait for it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using OnFrame = std::function<void(const FrameHeader& header, std::string body)>;
  using OnClose = std::function<void(const absl::Status& reason)>;

  static constexpr size_t kMaxQueuedBytes = size_t{32} << 20;

  static std::shared_ptr<Connection> Create(EventLoop& loop, UniqueFd socket);
  ~Connection();

  // Neither callback is called before Start. Start may end the connection at once.
  void Start(OnFrame on_frame, OnClose on_close);
  void Send(std::string frame);
  void Close(const absl::Status& reason);
  [[nodiscard]] bool closed() const { return !socket_.valid(); }
  [[nodiscard]] size_t queued_bytes() const { return queued_bytes_; }

 private:
  Connection(EventLoop& loop, UniqueFd socket) : loop_(loop), socket_(std::move(socket)) {}
  void HandleEvents(uint32_t events);
  // False once the connection has ended.
  bool ReadSome();
  // Takes what was read apart into frames, and holds back the rest while too many replies wait.
  // False once the connection has ended.
  bool Consume(absl::string_view bytes);
  [[nodiscard]] bool TooMuchWaits() const { return queued_bytes_ > kMaxBodyBytes; }
  bool FinishFrame();
  bool WriteSome();
  void Watch();

  EventLoop& loop_;
  UniqueFd socket_;
  OnFrame on_frame_;
  OnClose on_close_;
  uint32_t watched_ = 0;

  char header_[kHeaderBytes];
  size_t header_got_ = 0;
  FrameHeader frame_;
  std::string body_;
  size_t body_got_ = 0;
  std::string held_;

  std::deque<std::string> queue_;
  size_t front_sent_ = 0;
  size_t queued_bytes_ = 0;
};

}  // namespace gantry::ttrpc

#endif  // GANTRY_TTRPC_CONNECTION_H_
