#include "services/metrics/http_endpoint.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/log.h"

namespace gantry::metrics {
namespace {

// How long accepting rests when there is no descriptor or memory left for a connection.
constexpr absl::Duration kAcceptRest = absl::Seconds(1);

const char* ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    default:
      return "Internal Server Error";
  }
}

HttpResponse Refusal(int status, absl::string_view why) {
  return {.status = status, .body = absl::StrCat(why, "\n")};
}

std::string Head(const HttpResponse& response) {
  std::string head = absl::StrCat("HTTP/1.1 ", response.status, " ", ReasonOf(response.status),
                                  "\r\nContent-Type: ", response.content_type,
                                  "\r\nContent-Length: ", response.body.size(),
                                  "\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n");
  if (response.status == 405) absl::StrAppend(&head, "Allow: GET, HEAD\r\n");
  return head + "\r\n";
}

}  // namespace

struct HttpEndpoint::Connection {
  Connection(uint64_t id_in, UniqueFd fd_in) : id(id_in), fd(std::move(fd_in)) {}
  const uint64_t id;
  const UniqueFd fd;
  std::string received;
  bool head_only = false;
  std::string sending;
  size_t sent = 0;
  EventLoop::TimerId deadline = 0;
};

absl::StatusOr<HttpRequestLine> ParseHttpRequestLine(absl::string_view head) {
  const absl::string_view line = head.substr(0, head.find("\r\n"));
  const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
  if (words.size() != 3 || words[0].empty() || !absl::StartsWith(words[1], "/") ||
      !absl::StartsWith(words[2], "HTTP/1.")) {
    return absl::InvalidArgumentError("the request line is none of HTTP/1.1");
  }
  return HttpRequestLine{std::string(words[0]),
                         std::string(words[1].substr(0, words[1].find('?')))};
}

HttpEndpoint::HttpEndpoint(EventLoop& loop, UniqueFd listener,
                           std::map<std::string, HttpHandler> handlers, Limits limits)
    : loop_(loop),
      listener_(std::move(listener)),
      handlers_(std::move(handlers)),
      limits_(limits) {}

HttpEndpoint::~HttpEndpoint() {
  closing_ = true;
  if (accepting_) loop_.Remove(listener_.get());
  while (!connections_.empty()) Close(*connections_.begin()->second);
}

absl::Status HttpEndpoint::Serve() {
  GANTRY_RETURN_IF_ERROR(loop_.Add(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); }));
  accepting_ = true;
  return absl::OkStatus();
}

void HttpEndpoint::Accept() {
  while (connections_.size() < limits_.connections) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) return;
      LogWarn("accept a connection for metrics", {{"error", std::strerror(errno)}});
      break;
    }
    const uint64_t id = next_id_++;
    Connection& connection =
        *connections_.emplace(id, std::make_unique<Connection>(id, std::move(fd))).first->second;
    // Without a watch it ends at its deadline.
    loop_
        .Add(connection.fd.get(), EPOLLIN,
             [this, at = &connection](uint32_t events) {
               if (!at->sending.empty()) return Write(*at);
               if ((events & EPOLLIN) != 0) return Read(*at);
               Close(*at);
             })
        .IgnoreError();
    SetDeadline(connection, limits_.receive, [this, at = &connection] { Close(*at); });
  }
  // Whoever comes now waits in the backlog until one goes, or for a moment.
  loop_.Remove(listener_.get());
  accepting_ = false;
  if (connections_.size() >= limits_.connections) return;
  loop_.After(kAcceptRest, [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired() && !accepting_) Serve().IgnoreError();
  });
}

void HttpEndpoint::SetDeadline(Connection& connection, absl::Duration limit,
                               std::function<void()> then) {
  loop_.Cancel(connection.deadline);
  connection.deadline = loop_.After(limit, std::move(then));
}

void HttpEndpoint::Close(Connection& connection) {
  loop_.Cancel(connection.deadline);
  loop_.Remove(connection.fd.get());
  connections_.erase(connection.id);
  if (!accepting_ && !closing_) Serve().IgnoreError();
}

void HttpEndpoint::Read(Connection& connection) {
  char buffer[4096];
  const ssize_t count = ::recv(connection.fd.get(), buffer, sizeof buffer, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return Close(connection);
  connection.received.append(buffer, static_cast<size_t>(count));
  if (connection.received.find("\r\n\r\n") != std::string::npos) return Handle(connection);
  if (connection.received.size() <= limits_.request_bytes) return;
  Answer(connection, Refusal(431, "the request is too long"));
}

void HttpEndpoint::Handle(Connection& connection) {
  const absl::StatusOr<HttpRequestLine> line = ParseHttpRequestLine(connection.received);
  if (!line.ok()) return Answer(connection, Refusal(400, line.status().message()));
  connection.head_only = line->method == "HEAD";
  if (line->method != "GET" && line->method != "HEAD") {
    return Answer(connection, Refusal(405, "only GET and HEAD are served"));
  }
  const auto handler = handlers_.find(line->path);
  if (handler == handlers_.end()) return Answer(connection, Refusal(404, "nothing is there"));

  // Only the peer's end is looked for until there is something to send.
  loop_.Modify(connection.fd.get(), 0).IgnoreError();
  SetDeadline(connection, limits_.answer, [this, at = &connection] {
    Answer(*at, Refusal(503, "no answer was found in time"));
  });
  handler->second([this, loop = &loop_, alive = std::weak_ptr(alive_),
                   id = connection.id](HttpResponse response) {
    loop->Post([this, alive, id, response = std::move(response)] {
      if (alive.expired()) return;
      const auto found = connections_.find(id);
      // It may have gone, or have been told that the answer was late.
      if (found == connections_.end() || !found->second->sending.empty()) return;
      Answer(*found->second, response);
    });
  });
}

void HttpEndpoint::Answer(Connection& connection, const HttpResponse& response) {
  connection.sending = Head(response);
  if (!connection.head_only) connection.sending += response.body;
  loop_.Modify(connection.fd.get(), EPOLLOUT).IgnoreError();
  SetDeadline(connection, limits_.send, [this, at = &connection] {
    // What is not taken by now is thrown away, by the kernel too.
    const linger none = {.l_onoff = 1, .l_linger = 0};
    ::setsockopt(at->fd.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    Close(*at);
  });
  Write(connection);
}

void HttpEndpoint::Write(Connection& connection) {
  if (connection.sent == connection.sending.size()) return Drain(connection);
  const ssize_t count = ::send(connection.fd.get(), connection.sending.data() + connection.sent,
                               connection.sending.size() - connection.sent, MSG_NOSIGNAL);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return Close(connection);
  connection.sent += static_cast<size_t>(count);
  if (connection.sent < connection.sending.size()) return;
  // What the peer has sent and nobody has read would make a close cut off the answer: the peer
  // closes first.
  ::shutdown(connection.fd.get(), SHUT_WR);
  loop_.Modify(connection.fd.get(), EPOLLIN).IgnoreError();
}

void HttpEndpoint::Drain(Connection& connection) {
  char buffer[4096];
  const ssize_t count = ::recv(connection.fd.get(), buffer, sizeof buffer, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) Close(connection);
}

}  // namespace gantry::metrics
