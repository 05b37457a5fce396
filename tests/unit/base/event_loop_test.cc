#include "base/event_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>

#include <thread>

namespace gantry {
namespace {

class EventLoopTest : public testing::Test {
 protected:
  void SetUp() override {
    int fds[2];
    ASSERT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    read_ = UniqueFd(fds[0]);
    write_ = UniqueFd(fds[1]);
  }
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  UniqueFd read_, write_;
};

TEST_F(EventLoopTest, AReadyDescriptorCallsItsCallback) {
  uint32_t seen = 0;
  ASSERT_TRUE(loop_->Add(read_.get(), EPOLLIN, [&](uint32_t events) { seen = events; }).ok());
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(seen, 0u);
  ASSERT_EQ(::write(write_.get(), "x", 1), 1);
  loop_->RunOnce(absl::Seconds(5));
  EXPECT_EQ(seen, uint32_t{EPOLLIN});
}

TEST_F(EventLoopTest, ACallbackMayRemoveItself) {
  int calls = 0;
  ASSERT_TRUE(loop_
                  ->Add(read_.get(), EPOLLIN,
                        [&](uint32_t) {
                          ++calls;
                          loop_->Remove(read_.get());
                        })
                  .ok());
  ASSERT_EQ(::write(write_.get(), "x", 1), 1);
  loop_->RunOnce(absl::Seconds(5));
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(calls, 1);
}

TEST_F(EventLoopTest, ALateEventForARemovedDescriptorIsNotGivenToItsSuccessor) {
  // Both become ready in one wait; the first callback replaces the second registration.
  UniqueFd other(::fcntl(read_.get(), F_DUPFD_CLOEXEC, 0));
  int successor = 0;
  int first = 0;
  const auto swap = [&](int doomed) {
    return [&, doomed](uint32_t) {
      if (first++ > 0) return;
      loop_->Remove(doomed);
      ASSERT_TRUE(loop_->Add(doomed, EPOLLOUT, [&](uint32_t) { ++successor; }).ok());
    };
  };
  ASSERT_TRUE(loop_->Add(read_.get(), EPOLLIN, swap(other.get())).ok());
  ASSERT_TRUE(loop_->Add(other.get(), EPOLLIN, swap(read_.get())).ok());
  ASSERT_EQ(::write(write_.get(), "x", 1), 1);
  loop_->RunOnce(absl::Seconds(5));
  EXPECT_EQ(successor, 0);
}

TEST_F(EventLoopTest, TimersRunInOrderAndCancelledOnesDoNot) {
  std::vector<int> order;
  loop_->After(absl::Milliseconds(2), [&] { order.push_back(2); });
  loop_->After(absl::Milliseconds(1), [&] { order.push_back(1); });
  const auto cancelled = loop_->After(absl::Milliseconds(1), [&] { order.push_back(9); });
  loop_->Cancel(cancelled);
  while (order.size() < 2) loop_->RunOnce(absl::Seconds(5));
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

TEST_F(EventLoopTest, PostFromAnotherThreadRunsOnTheLoopInOrder) {
  std::vector<int> order;
  std::thread poster([&] {
    for (int i = 0; i < 1000; ++i) loop_->Post([&order, i] { order.push_back(i); });
    loop_->Post([this] { loop_->Stop(); });
  });
  loop_->Run();
  poster.join();
  ASSERT_EQ(order.size(), 1000u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_F(EventLoopTest, WorkThatTheLoopsOwnThreadPostsIsNotWaitedFor) {
  // Neither is the wait woken for it: the loop sees it by itself, in whichever callback it came up.
  std::vector<std::string> order;
  const auto post = [&](const std::string& name, std::function<void()> then) {
    loop_->Post([&order, name, then = std::move(then)] {
      order.push_back(name);
      if (then) then();
    });
  };
  ASSERT_TRUE(loop_
                  ->Add(read_.get(), EPOLLIN,
                        [&](uint32_t) {
                          loop_->Remove(read_.get());
                          post("by a descriptor", [&] { post("by work", nullptr); });
                          loop_->After(absl::ZeroDuration(),
                                       [&] { post("by a timer", [this] { loop_->Stop(); }); });
                        })
                  .ok());
  ASSERT_EQ(::write(write_.get(), "x", 1), 1);
  loop_->Run();  // would hang if it waited
  EXPECT_EQ(order, (std::vector<std::string>{"by a descriptor", "by work", "by a timer"}));
}

TEST_F(EventLoopTest, ALoopThatIsNotTheOneRunningIsWokenByAPostOfThisThread) {
  const std::unique_ptr<EventLoop> other = *EventLoop::Create();
  bool ran = false;
  std::thread thread([&] { other->Run(); });
  loop_->Post([&] {
    other->Post([&] {
      ran = true;
      other->Stop();
    });
  });
  loop_->RunOnce(absl::Seconds(5));
  thread.join();
  EXPECT_TRUE(ran);
}

}  // namespace
}  // namespace gantry
