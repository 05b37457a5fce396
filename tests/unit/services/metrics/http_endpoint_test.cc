#include "services/metrics/http_endpoint.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <future>
#include <thread>

namespace gantry::metrics {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// An endpoint on a port of its own, with a loop on a thread of its own.
class HttpEndpointTest : public testing::Test {
 protected:
  void StartEndpoint(std::map<std::string, HttpHandler> handlers,
                     HttpEndpoint::Limits limits = Patient()) {
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address_;
    ASSERT_EQ(::bind(listener.get(), Address(), sizeof address_), 0);
    ASSERT_EQ(::listen(listener.get(), 16), 0);
    ASSERT_EQ(::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address_), &length), 0);
    endpoint_ =
        std::make_unique<HttpEndpoint>(*loop_, std::move(listener), std::move(handlers), limits);
    ASSERT_TRUE(endpoint_->Serve().ok());
    thread_ = std::thread([this] { loop_->Run(); });
  }

  // What a machine under load keeps to.
  static HttpEndpoint::Limits Patient() {
    return {.receive = absl::Seconds(60), .answer = absl::Seconds(60), .send = absl::Seconds(60)};
  }

  void TearDown() override {
    if (!thread_.joinable()) return;
    loop_->Stop();
    thread_.join();
  }

  const sockaddr* Address() const { return reinterpret_cast<const sockaddr*>(&address_); }

  UniqueFd Connect() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), Address(), sizeof address_), 0) << std::strerror(errno);
    return fd;
  }

  static void Send(const UniqueFd& fd, const std::string& text) {
    EXPECT_EQ(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  // Until the other side has closed.
  static std::string ReadAll(const UniqueFd& fd) {
    std::string all;
    char buffer[65536];
    for (;;) {
      pollfd wanted = {.fd = fd.get(), .events = POLLIN};
      if (::poll(&wanted, 1, 60'000) != 1) return all + "(no more came within a minute)";
      const ssize_t count = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (count < 0) return all + "(" + std::strerror(errno) + ")";
      if (count == 0) return all;
      all.append(buffer, static_cast<size_t>(count));
    }
  }

  std::string Ask(const std::string& request) const {
    const UniqueFd fd = Connect();
    Send(fd, request);
    return ReadAll(fd);
  }

  static HttpHandler Says(std::string body) {
    return [body](const std::function<void(HttpResponse)>& answer) { answer({.body = body}); };
  }

  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  sockaddr_in address_{};
  std::unique_ptr<HttpEndpoint> endpoint_;
  std::thread thread_;
};

TEST_F(HttpEndpointTest, AGetIsAnsweredByThePathsHandler) {
  StartEndpoint({{"/a", Says("first")}, {"/b", Says("second")}});
  const std::string answer = Ask("GET /b?x=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nsecond"));
}

TEST_F(HttpEndpointTest, HeadHasTheHeadOfGetAlone) {
  StartEndpoint({{"/a", Says("first")}});
  const std::string answer = Ask("HEAD /a HTTP/1.1\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpEndpointTest, WhatIsNotServedIsRefused) {
  StartEndpoint({{"/a", Says("first")}});
  EXPECT_THAT(Ask("GET /c HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
  const std::string post = Ask("POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_THAT(post, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(post, HasSubstr("Allow: GET, HEAD\r\n"));
  EXPECT_THAT(Ask("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET a HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET /a SPDY/3\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Ask("GET /a HTTP/1.1\r\nX: " + std::string(20'000, 'x')),
              StartsWith("HTTP/1.1 431 "));
}

TEST_F(HttpEndpointTest, ARequestMayComeInPieces) {
  StartEndpoint({{"/a", Says("first")}});
  const UniqueFd fd = Connect();
  Send(fd, "GET /a HT");
  // The endpoint has read the first piece once it has answered a later connection.
  Ask("GET /a HTTP/1.1\r\n\r\n");
  Send(fd, "TP/1.1\r\n\r");
  Ask("GET /a HTTP/1.1\r\n\r\n");
  Send(fd, "\n");
  EXPECT_THAT(ReadAll(fd), EndsWith("first"));
}

TEST_F(HttpEndpointTest, ALongAnswerArrivesWhole) {
  std::string body;
  for (int i = 0; body.size() < (8 << 20); ++i) body += std::to_string(i) + "\n";
  StartEndpoint({{"/a", Says(body)}});
  const std::string answer = Ask("GET /a HTTP/1.1\r\n\r\n");
  EXPECT_EQ(answer.substr(answer.find("\r\n\r\n") + 4), body);
}

TEST_F(HttpEndpointTest, OneThatIsNotAnsweredHoldsUpNobodyAndIsToldSo) {
  std::promise<std::function<void(HttpResponse)>> asked;
  StartEndpoint(
      {{"/hangs",
        [&](std::function<void(HttpResponse)> answer) { asked.set_value(std::move(answer)); }},
       {"/a", Says("first")}},
      {.answer = absl::Milliseconds(200)});
  const UniqueFd fd = Connect();
  Send(fd, "GET /hangs HTTP/1.1\r\n\r\n");
  const auto late = asked.get_future().get();
  EXPECT_THAT(Ask("GET /a HTTP/1.1\r\n\r\n"), EndsWith("first"));
  EXPECT_THAT(ReadAll(fd), StartsWith("HTTP/1.1 503 "));
  // Nobody is there to hear it any more.
  late({.body = "late"});
  EXPECT_THAT(Ask("GET /a HTTP/1.1\r\n\r\n"), EndsWith("first"));
}

TEST_F(HttpEndpointTest, AnAnswerFromAnotherThreadIsSent) {
  std::thread worker;
  StartEndpoint({{"/a", [&](std::function<void(HttpResponse)> answer) {
                    worker = std::thread([answer] { answer({.body = "from afar"}); });
                  }}});
  EXPECT_THAT(Ask("GET /a HTTP/1.1\r\n\r\n"), EndsWith("from afar"));
  worker.join();
}

TEST_F(HttpEndpointTest, WhoSendsNothingIsLetGo) {
  StartEndpoint({{"/a", Says("first")}}, {.receive = absl::Milliseconds(50)});
  EXPECT_EQ(ReadAll(Connect()), "");
}

TEST_F(HttpEndpointTest, ConnectionsBeyondTheLimitWaitForOneToGo) {
  StartEndpoint({{"/a", Says("first")}}, {.connections = 2, .receive = absl::Seconds(60)});
  UniqueFd first = Connect();
  const UniqueFd second = Connect();
  const UniqueFd third = Connect();
  Send(third, "GET /a HTTP/1.1\r\n\r\n");
  pollfd wanted = {.fd = third.get(), .events = POLLIN};
  // There is nothing to wait for: that it is not answered can only be looked at for a while.
  EXPECT_EQ(::poll(&wanted, 1, 100), 0) << "a third connection is served beside the two";
  first.reset();
  EXPECT_THAT(ReadAll(third), EndsWith("first"));
}

TEST_F(HttpEndpointTest, AnAnswerThatNobodyTakesIsGivenUp) {
  StartEndpoint({{"/a", Says(std::string(64 << 20, 'x'))}}, {.send = absl::Milliseconds(100)});
  const UniqueFd fd = Connect();
  Send(fd, "GET /a HTTP/1.1\r\n\r\n");
  // Only what fitted into the kernel's buffers comes, then the end.
  pollfd wanted = {.fd = fd.get(), .events = POLLRDHUP};
  ASSERT_EQ(::poll(&wanted, 1, 60'000), 1);
  EXPECT_LT(ReadAll(fd).size(), 64u << 20);
}

TEST_F(HttpEndpointTest, AnAnswerAfterTheEndpointsEndIsDropped) {
  std::promise<std::function<void(HttpResponse)>> asked;
  StartEndpoint({{"/a", [&](std::function<void(HttpResponse)> answer) {
                    asked.set_value(std::move(answer));
                  }}});
  const UniqueFd fd = Connect();
  Send(fd, "GET /a HTTP/1.1\r\n\r\n");
  const auto answer = asked.get_future().get();
  TearDown();
  endpoint_.reset();
  answer({.body = "late"});
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_THAT(ReadAll(fd), Not(HasSubstr("late")));
}

}  // namespace
}  // namespace gantry::metrics
