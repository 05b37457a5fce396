#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "absl/time/clock.h"
#include "base/temp_dir.h"
#include "ttrpc/client.h"
#include "ttrpc/server.h"

namespace gantry::ttrpc {
namespace {

class TtrpcTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = dir_->path() + "/s";
    server_ = std::make_unique<Server>(*loop_);
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un address = Address();
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    ASSERT_EQ(::listen(listener.get(), 16), 0);
    ASSERT_TRUE(server_->Serve(std::move(listener)).ok());
    server_->Register("t.T", "Echo", [](Call call, Reply reply) { reply(call.payload); });
    server_->Register("t.T", "Wait", [this](Call, Reply reply) { waiting_ = std::move(reply); });
    server_->Register("t.T", "Fail", [](Call, Reply reply) { reply(absl::NotFoundError("gone")); });
  }

  sockaddr_un Address() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    return address;
  }

  std::shared_ptr<Client> Dial() { return *Client::Connect(*loop_, path_); }

  UniqueFd RawSocket() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const sockaddr_un address = Address();
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  void Until(const std::function<bool()>& condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < limit) loop_->RunOnce(absl::Milliseconds(100));
    EXPECT_TRUE(condition());
  }

  // What comes from a raw socket until its end, or until `bytes` are there.
  std::string ReadRaw(int fd, size_t bytes, bool* ended) {
    std::string got;
    *ended = false;
    Until([&] {
      char buffer[4096];
      const ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n > 0) got.append(buffer, static_cast<size_t>(n));
      *ended = n == 0 || (n < 0 && errno != EAGAIN);
      return *ended || got.size() >= bytes;
    });
    return got;
  }

  absl::StatusOr<std::string> CallAndWait(Client& client, const std::string& method,
                                          std::string payload, CallOptions options = {}) {
    std::optional<absl::StatusOr<std::string>> result;
    client.CallMethod("t.T", method, std::move(payload), std::move(options),
                      [&](absl::StatusOr<std::string> r) { result = std::move(r); });
    Until([&] { return result.has_value(); });
    return *result;
  }

  absl::StatusOr<TempDir> dir_ = TempDir::Create("ttrpc");
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  std::string path_;
  std::unique_ptr<Server> server_;
  Reply waiting_;
};

TEST_F(TtrpcTest, ACallComesBackWithThePayload) {
  const auto client = Dial();
  EXPECT_EQ(*CallAndWait(*client, "Echo", "hello"), "hello");
}

TEST_F(TtrpcTest, AHandlersErrorArrivesWithCodeAndMessage) {
  const auto client = Dial();
  EXPECT_EQ(CallAndWait(*client, "Fail", "").status(), absl::NotFoundError("gone"));
}

TEST_F(TtrpcTest, AnUnknownMethodIsUnimplementedAndTheConnectionGoesOn) {
  const auto client = Dial();
  EXPECT_EQ(CallAndWait(*client, "Nope", "").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(*CallAndWait(*client, "Echo", "x"), "x");
}

TEST_F(TtrpcTest, TimeoutAndMetadataReachTheHandler) {
  std::optional<Call> seen;
  server_->Register("t.T", "See", [&](Call call, Reply reply) {
    seen = call;
    reply("");
  });
  const auto client = Dial();
  CallOptions options;
  options.timeout = absl::Seconds(30);
  options.metadata = {{"containerd-namespace-ttrpc", "moby"}};
  ASSERT_TRUE(CallAndWait(*client, "See", "", options).ok());
  EXPECT_EQ(seen->metadata, options.metadata);
  ASSERT_TRUE(seen->deadline.has_value());
  EXPECT_LE(*seen->deadline, absl::Now() + absl::Seconds(30));
  EXPECT_GT(*seen->deadline, absl::Now() + absl::Seconds(5));
}

TEST_F(TtrpcTest, MessagesOfAlmostFourMebibytesPassBothWays) {
  const auto client = Dial();
  const std::string big(kMaxBodyBytes - 100, 'x');
  EXPECT_TRUE(*CallAndWait(*client, "Echo", big) == big);
}

TEST_F(TtrpcTest, ARequestOverTheLimitIsRefusedHereAndTheConnectionGoesOn) {
  const auto client = Dial();
  EXPECT_EQ(CallAndWait(*client, "Echo", std::string(kMaxBodyBytes, 'x')).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(*CallAndWait(*client, "Echo", "x"), "x");
}

TEST_F(TtrpcTest, AResponseOverTheLimitBecomesResourceExhausted) {
  server_->Register("t.T", "Big",
                    [](Call, Reply reply) { reply(std::string(kMaxBodyBytes, 'x')); });
  const auto client = Dial();
  EXPECT_EQ(CallAndWait(*client, "Big", "").status().code(), absl::StatusCode::kResourceExhausted);
}

TEST_F(TtrpcTest, AnOversizedFrameClosesTheConnection) {
  const UniqueFd raw = RawSocket();
  ASSERT_EQ(::write(raw.get(), "\x00\x40\x00\x01\0\0\0\x01\x01\0", 10), 10);
  bool ended = false;
  EXPECT_EQ(ReadRaw(raw.get(), 1, &ended), "");
  EXPECT_TRUE(ended);
}

TEST_F(TtrpcTest, AFrameThatIsNoRequestClosesTheConnection) {
  for (const auto& [stream, type] : {std::pair{1, 2}, {1, 3}, {2, 1}}) {
    const UniqueFd raw = RawSocket();
    const std::string frame = EncodeFrame(stream, static_cast<uint8_t>(type), 0, "");
    ASSERT_EQ(::write(raw.get(), frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
    bool ended = false;
    EXPECT_EQ(ReadRaw(raw.get(), 1, &ended), "");
    EXPECT_TRUE(ended);
  }
}

TEST_F(TtrpcTest, ARequestThatArrivesByteByByteIsServed) {
  const UniqueFd raw = RawSocket();
  const std::string frame =
      EncodeFrame(7, kRequestFrame, kRemoteClosed, EncodeRequest({"t.T", "Echo", "slow", 0, {}}));
  for (const char byte : frame) {
    ASSERT_EQ(::write(raw.get(), &byte, 1), 1);
    loop_->RunOnce(absl::ZeroDuration());
  }
  const std::string expected =
      EncodeFrame(7, kResponseFrame, 0, EncodeResponse(std::string("slow")));
  bool ended = false;
  EXPECT_EQ(ReadRaw(raw.get(), expected.size(), &ended), expected);
  EXPECT_FALSE(ended);
}

TEST_F(TtrpcTest, FramesThatArriveTogetherAreServedInTheirOrder) {
  // Of sizes around the one that is read at once: frames begin, end and are cut anywhere in it.
  std::string sent;
  std::string expected;
  uint32_t stream = 1;
  for (const size_t size : {0, 1, 4000, 4096, 5, 9000, 0, 4050, 30, 100000, 7}) {
    const std::string payload(size, static_cast<char>('a' + stream % 26));
    sent += EncodeFrame(stream, kRequestFrame, kRemoteClosed,
                        EncodeRequest({"t.T", "Echo", payload, 0, {}}));
    expected += EncodeFrame(stream, kResponseFrame, 0, EncodeResponse(payload));
    stream += 2;
  }
  sent += std::string(kHeaderBytes, '\0');  // an empty body is a frame, too, and no request
  const UniqueFd raw = RawSocket();
  size_t written = 0;
  std::string got;
  bool ended = false;
  Until([&] {
    const ssize_t more =
        ::send(raw.get(), sent.data() + written, sent.size() - written, MSG_NOSIGNAL);
    if (more > 0) written += static_cast<size_t>(more);
    char buffer[4096];
    ssize_t size;
    while ((size = ::read(raw.get(), buffer, sizeof buffer)) > 0) got.append(buffer, size);
    ended = size == 0 || (size < 0 && errno != EAGAIN);
    return ended;
  });
  EXPECT_TRUE(got == expected) << got.size() << " bytes of " << expected.size();
}

TEST_F(TtrpcTest, AMalformedBodyIsAnsweredAndTheConnectionGoesOn) {
  const UniqueFd raw = RawSocket();
  const std::string frame = EncodeFrame(1, kRequestFrame, 0, "\x0a\x7f");
  ASSERT_EQ(::write(raw.get(), frame.data(), frame.size()), static_cast<ssize_t>(frame.size()));
  bool ended = false;
  const std::string got = ReadRaw(raw.get(), kHeaderBytes + 1, &ended);
  EXPECT_FALSE(ended);
  EXPECT_EQ(DecodeResponse(absl::string_view(got).substr(kHeaderBytes)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(TtrpcTest, AWaitingCallDoesNotHoldUpOthers) {
  const auto client = Dial();
  std::optional<absl::StatusOr<std::string>> late;
  client->CallMethod("t.T", "Wait", "", {}, [&](absl::StatusOr<std::string> r) { late = r; });
  EXPECT_EQ(*CallAndWait(*client, "Echo", "x"), "x");
  EXPECT_FALSE(late.has_value());
  EXPECT_FALSE(server_->Idle());
  waiting_("done");
  waiting_("twice");
  Until([&] { return late.has_value(); });
  EXPECT_EQ(**late, "done");
  EXPECT_TRUE(server_->Idle());
}

TEST_F(TtrpcTest, ACallOverItsTimeoutEndsOnceAndTheLateAnswerIsDropped) {
  const auto client = Dial();
  EXPECT_EQ(CallAndWait(*client, "Wait", "", {.timeout = absl::Milliseconds(20)}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  waiting_("late");
  EXPECT_EQ(*CallAndWait(*client, "Echo", "x"), "x");
}

TEST_F(TtrpcTest, CallsUnderWayAndLaterOnesAreUnavailableWhenTheServerGoes) {
  const auto client = Dial();
  int closes = 0;
  std::optional<absl::StatusOr<std::string>> result;
  client->OnClose([&] { ++closes; });
  client->CallMethod("t.T", "Wait", "", {}, [&](absl::StatusOr<std::string> r) { result = r; });
  Until([&] { return waiting_ != nullptr; });
  server_.reset();
  Until([&] { return result.has_value() && closes == 1; });
  EXPECT_EQ(result->status().code(), absl::StatusCode::kUnavailable);
  waiting_("to nobody");
  EXPECT_EQ(CallAndWait(*client, "Echo", "").status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(TtrpcTest, LettingGoOfTheClientEndsItsCalls) {
  auto client = Dial();
  std::optional<absl::StatusOr<std::string>> result;
  client->CallMethod("t.T", "Wait", "", {}, [&](absl::StatusOr<std::string> r) { result = r; });
  Until([&] { return waiting_ != nullptr; });
  client.reset();
  Until([&] { return result.has_value(); });
  EXPECT_EQ(result->status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(TtrpcTest, APeerThatNeverReadsIsNotServedFurtherAndOthersAre) {
  const std::string big(1 << 20, 'x');
  server_->Register("t.T", "Big", [&](Call, Reply reply) { reply(big); });
  const UniqueFd raw = RawSocket();
  std::string requests;
  for (uint32_t i = 0; i < 64; ++i) {
    requests += EncodeFrame(2 * i + 1, kRequestFrame, 0, EncodeRequest({"t.T", "Big", "", 0, {}}));
  }
  ASSERT_EQ(::write(raw.get(), requests.data(), requests.size()),
            static_cast<ssize_t>(requests.size()));
  for (int i = 0; i < 50; ++i) loop_->RunOnce(absl::ZeroDuration());
  // Reading from it stopped once replies piled up, so memory stays bounded, and the rest is served.
  EXPECT_FALSE(server_->Idle());
  EXPECT_EQ(*CallAndWait(*Dial(), "Echo", "others"), "others");
}

TEST_F(TtrpcTest, APathThatDoesNotFitIsInvalidArgument) {
  EXPECT_EQ(Client::Connect(*loop_, std::string(200, 'x')).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Client::Connect(*loop_, dir_->path() + "/none").status().code(),
            absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace gantry::ttrpc
