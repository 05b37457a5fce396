#ifndef GANTRY_TTRPC_SERVER_H_
#define GANTRY_TTRPC_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"
#include "ttrpc/connection.h"
#include "ttrpc/message.h"

namespace gantry::ttrpc {

struct Call {
  std::string payload;
  Metadata metadata;
  // When the caller gives up; nothing here enforces it.
  std::optional<absl::Time> deadline;
};

// May be called later and from within the handler, on the loop's thread; a second call and one
// after the connection ended do nothing.
using Reply = std::function<void(absl::StatusOr<std::string> payload)>;
using Handler = std::function<void(Call call, Reply reply)>;

struct ServerOptions {
  // Refuses peers whose user is not root (SO_PEERCRED).
  bool root_peers_only = false;
  // Connections beyond this one are closed at once.
  size_t max_connections = 1024;
};

// Serves unary ttrpc methods on a listening unix socket. Everything happens on the loop's thread.
class Server {
 public:
  using Options = ServerOptions;

  explicit Server(EventLoop& loop, Options options = {}) : loop_(loop), options_(options) {}
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // `service` is the full protobuf name. A method registered twice keeps the later handler. What is
  // not registered answers Unimplemented.
  void Register(absl::string_view service, absl::string_view method, Handler handler);
  absl::Status Serve(UniqueFd listening_socket);

  // Calls whose reply has not been given, and bytes of replies that peers have not read yet: a
  // process that wants to end waits for both to be 0.
  [[nodiscard]] bool Idle() const;
  [[nodiscard]] size_t connections() const { return peers_.size(); }

 private:
  struct Peer;
  void Accept();
  void HandleFrame(const std::shared_ptr<Peer>& peer, const FrameHeader& header, std::string body);

  EventLoop& loop_;
  Options options_;
  UniqueFd listener_;
  std::unordered_map<std::string, Handler> handlers_;  // "service/method"
  std::unordered_set<std::shared_ptr<Peer>> peers_;
};

}  // namespace gantry::ttrpc

#endif  // GANTRY_TTRPC_SERVER_H_
