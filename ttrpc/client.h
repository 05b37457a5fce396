#ifndef GANTRY_TTRPC_CLIENT_H_
#define GANTRY_TTRPC_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "ttrpc/connection.h"
#include "ttrpc/message.h"

namespace gantry::ttrpc {

struct CallOptions {
  // No limit by default. It travels to the peer (timeout_nano) and is enforced on this side.
  absl::Duration timeout = absl::InfiniteDuration();
  Metadata metadata;
};

// One connection to a ttrpc server. Many calls may be under way at once.
//
// Threads: Connect, FromSocket, CallMethod, OnClose and Close may be called from any; callbacks run
// on the loop's thread. The loop must outlive the client and every callback. Letting go of the last
// pointer closes the connection; calls under way then end with Unavailable.
class Client : public std::enable_shared_from_this<Client> {
 public:
  using Done = std::function<void(absl::StatusOr<std::string> payload)>;

  // Errors: InvalidArgument for a path longer than 107 bytes, NotFound and Unavailable as
  // connect(2).
  static absl::StatusOr<std::shared_ptr<Client>> Connect(EventLoop& loop,
                                                         const std::string& unix_path);
  static std::shared_ptr<Client> FromSocket(EventLoop& loop, UniqueFd socket);
  ~Client();

  // `done` is called exactly once: with the response's payload, with the status the server sent, or
  // with Unavailable (the connection ended), DeadlineExceeded (`timeout`), ResourceExhausted
  // (message over 4 MiB).
  void CallMethod(absl::string_view service, absl::string_view method, std::string payload,
                  CallOptions options, Done done);

  // `callback` runs once when the connection has ended, at once if it has already.
  void OnClose(std::function<void()> callback);
  void Close();

 private:
  struct Pending {
    Done done;
    EventLoop::TimerId timer = 0;
  };
  explicit Client(EventLoop& loop) : loop_(loop) {}
  // The rest is for the loop's thread only.
  void Attach(UniqueFd socket);
  void Send(Request request, absl::Duration timeout, Done done);
  void HandleFrame(const FrameHeader& header, std::string body);
  void Finish(uint32_t stream, absl::StatusOr<std::string> result);
  void HandleClose(const absl::Status& reason);

  EventLoop& loop_;
  std::shared_ptr<Connection> connection_;
  bool closed_ = false;
  uint32_t next_stream_ = 1;
  std::unordered_map<uint32_t, Pending> pending_;
  std::vector<std::function<void()>> on_close_;
};

}  // namespace gantry::ttrpc

#endif  // GANTRY_TTRPC_CLIENT_H_
