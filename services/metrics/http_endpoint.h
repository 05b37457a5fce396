#ifndef GANTRY_SERVICES_METRICS_HTTP_ENDPOINT_H_
#define GANTRY_SERVICES_METRICS_HTTP_ENDPOINT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/event_loop.h"
#include "base/unique_fd.h"

namespace gantry::metrics {

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Answers one request, once, on any thread, at once or later. Called on the loop's thread, where it
// must not block.
using HttpHandler = std::function<void(std::function<void(HttpResponse)> answer)>;

// HTTP/1.1 as far as scrapes and health checks go: GET and HEAD of fixed paths, one request a
// connection, no body. Everything that a peer can make it hold is bounded: connections, bytes of a
// request, the time to send one, to wait for its answer and to take it.
//
// It uses no thread but the loop's. All calls on the loop's thread, or before that runs and after
// it has stopped; the loop outlives it. Source: RFC 9112.
class HttpEndpoint {
 public:
  struct Limits {
    size_t connections = 64;
    size_t request_bytes = 8 << 10;
    absl::Duration receive = absl::Seconds(5);
    // After that the answer is 503, and what the handler says is not heard any more.
    absl::Duration answer = absl::Seconds(10);
    absl::Duration send = absl::Seconds(10);
  };

  // `listener` is bound, listening and non-blocking. `handlers` by path.
  HttpEndpoint(EventLoop& loop, UniqueFd listener, std::map<std::string, HttpHandler> handlers,
               Limits limits);
  HttpEndpoint(EventLoop& loop, UniqueFd listener, std::map<std::string, HttpHandler> handlers)
      : HttpEndpoint(loop, std::move(listener), std::move(handlers), Limits()) {}
  ~HttpEndpoint();
  HttpEndpoint(const HttpEndpoint&) = delete;
  HttpEndpoint& operator=(const HttpEndpoint&) = delete;

  absl::Status Serve();

 private:
  struct Connection;
  void Accept();
  void Read(Connection& connection);
  void Handle(Connection& connection);
  void Answer(Connection& connection, const HttpResponse& response);
  void Write(Connection& connection);
  void Drain(Connection& connection);
  void SetDeadline(Connection& connection, absl::Duration limit, std::function<void()> then);
  void Close(Connection& connection);

  EventLoop& loop_;
  const UniqueFd listener_;
  const std::map<std::string, HttpHandler> handlers_;
  const Limits limits_;
  bool accepting_ = false;
  uint64_t next_id_ = 1;
  std::map<uint64_t, std::unique_ptr<Connection>> connections_;
  bool closing_ = false;
  // Answers that come after the endpoint has gone find that it has.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>();
};

// The method and the path of a request whose head is complete. Errors: InvalidArgument.
struct HttpRequestLine {
  std::string method;
  std::string path;  // without a query
};
absl::StatusOr<HttpRequestLine> ParseHttpRequestLine(absl::string_view head);

}  // namespace gantry::metrics

#endif  // GANTRY_SERVICES_METRICS_HTTP_ENDPOINT_H_
