#include "shim/event_queue.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "absl/time/clock.h"
#include "base/temp_dir.h"
#include "base/wire.h"
#include "ttrpc/server.h"

namespace gantry::shim {
namespace {

struct Received {
  std::string ns, topic, type, value;
};

Received Decode(absl::string_view request) {
  Received received;
  WireReader outer(request);
  outer.Next();
  WireReader envelope(outer.bytes());
  while (envelope.Next()) {
    if (envelope.field() == 2) received.ns = envelope.str();
    if (envelope.field() == 3) received.topic = envelope.str();
    if (envelope.field() != 4) continue;
    WireReader any(envelope.bytes());
    while (any.Next()) (any.field() == 1 ? received.type : received.value) = any.str();
  }
  return received;
}

class EventQueueTest : public testing::Test {
 protected:
  void StartDaemon() {
    ::unlink(path_.c_str());
    daemon_ = std::make_unique<ttrpc::Server>(*loop_);
    UniqueFd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    ASSERT_EQ(::listen(listener.get(), 4), 0);
    ASSERT_TRUE(daemon_->Serve(std::move(listener)).ok());
    daemon_->Register("containerd.services.events.ttrpc.v1.Events", "Forward",
                      [this](ttrpc::Call call, ttrpc::Reply reply) {
                        received_.push_back(Decode(call.payload));
                        if (hold_) {
                          held_ = std::move(reply);
                        } else {
                          reply(answer_);
                        }
                      });
  }
  void Until(const std::function<bool()>& condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < limit) loop_->RunOnce(absl::Milliseconds(50));
    EXPECT_TRUE(condition());
  }

  absl::StatusOr<TempDir> dir_ = TempDir::Create("events");
  std::string path_ = dir_->path() + "/s";
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  std::unique_ptr<ttrpc::Server> daemon_;
  std::vector<Received> received_;
  absl::StatusOr<std::string> answer_ = std::string();
  bool hold_ = false;
  ttrpc::Reply held_;
};

TEST_F(EventQueueTest, AnEventArrivesWithNamespaceTopicAndBareType) {
  StartDaemon();
  EventQueue events(*loop_, path_, "moby");
  events.Publish("/tasks/exit", "containerd.events.TaskExit", "bytes");
  Until([&] { return events.size() == 0; });
  ASSERT_EQ(received_.size(), 1u);
  EXPECT_EQ(received_[0].ns, "moby");
  EXPECT_EQ(received_[0].topic, "/tasks/exit");
  EXPECT_EQ(received_[0].type, "containerd.events.TaskExit");
  EXPECT_EQ(received_[0].value, "bytes");
}

TEST_F(EventQueueTest, TheNextEventWaitsForTheAnswerToTheOneBefore) {
  StartDaemon();
  hold_ = true;
  EventQueue events(*loop_, path_, "n");
  events.Publish("/1", "t", "");
  const uint64_t second = events.Publish("/2", "t", "");
  bool told = false;
  events.WhenTold(second, [&] { told = true; });
  Until([&] { return held_ != nullptr; });
  EXPECT_EQ(received_.size(), 1u);
  hold_ = false;
  held_(std::string());
  Until([&] { return told; });
  ASSERT_EQ(received_.size(), 2u);
  EXPECT_EQ(received_[1].topic, "/2");
}

TEST_F(EventQueueTest, ADaemonThatKeepsTheirOrderIsSentEventsWithoutWaiting) {
  StartDaemon();
  std::vector<ttrpc::Reply> replies;
  daemon_->Register("containerd.services.events.ttrpc.v1.Events", "Forward",
                    [&](ttrpc::Call call, ttrpc::Reply reply) {
                      received_.push_back(Decode(call.payload));
                      replies.push_back(std::move(reply));
                    });
  EventQueue events(*loop_, path_, "n", nullptr, 2);
  for (int i = 1; i <= 3; ++i) events.Publish(absl::StrCat("/", i), "t", "");
  bool told = false;
  events.WhenTold(2, [&] { told = true; });
  Until([&] { return replies.size() == 2; });
  replies[0](absl::InvalidArgumentError("refused"));
  Until([&] { return replies.size() == 3; });
  EXPECT_FALSE(told);
  EXPECT_EQ(events.size(), 2u);
  replies[1](std::string());
  Until([&] { return told; });
  // What was not acknowledged comes again, in order, and nothing else.
  events.Publish("/4", "t", "");
  Until([&] { return replies.size() == 4; });
  daemon_.reset();
  hold_ = false;
  StartDaemon();
  Until([&] { return events.size() == 0; });
  std::vector<std::string> topics;
  for (const Received& one : received_) topics.push_back(one.topic);
  EXPECT_EQ(topics, (std::vector<std::string>{"/1", "/2", "/3", "/4", "/3", "/4"}));
}

TEST_F(EventQueueTest, EventsOfATimeWithoutDaemonArriveInOrderWhenItIsBack) {
  EventQueue events(*loop_, path_, "n");
  bool told = false;
  for (int i = 0; i < 3; ++i) events.Publish(absl::StrCat("/", i), "t", "");
  events.WhenTold(3, [&] { told = true; });
  // Whoever waits is not held up by a daemon that is away.
  Until([&] { return told; });
  EXPECT_EQ(events.size(), 3u);
  StartDaemon();
  Until([&] { return events.size() == 0; });
  ASSERT_EQ(received_.size(), 3u);
  EXPECT_EQ(received_[0].topic, "/0");
  EXPECT_EQ(received_[2].topic, "/2");
}

TEST_F(EventQueueTest, ADaemonThatDiesBeforeItAnswersGetsTheEventAgain) {
  StartDaemon();
  hold_ = true;
  EventQueue events(*loop_, path_, "n");
  events.Publish("/tasks/exit", "t", "");
  Until([&] { return held_ != nullptr; });
  daemon_.reset();
  hold_ = false;
  StartDaemon();
  Until([&] { return events.size() == 0; });
  EXPECT_EQ(received_.size(), 2u);
}

TEST_F(EventQueueTest, AnEventThatIsRefusedDoesNotStopTheNext) {
  StartDaemon();
  answer_ = absl::InvalidArgumentError("bad topic");
  EventQueue events(*loop_, path_, "n");
  events.Publish("bad", "t", "");
  events.Publish("/good", "t", "");
  Until([&] { return events.size() == 0; });
  EXPECT_EQ(received_.size(), 2u);
}

TEST_F(EventQueueTest, WithoutAnAddressNothingWaits) {
  EventQueue events(*loop_, "", "n");
  bool told = false;
  events.WhenTold(events.Publish("/x", "t", ""), [&] { told = true; });
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace gantry::shim
