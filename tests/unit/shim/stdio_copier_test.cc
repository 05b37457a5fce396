#include "shim/stdio_copier.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "base/temp_dir.h"

namespace gantry::shim {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  UniqueFd read, write;
};

class StdioCopierTest : public testing::Test {
 protected:
  std::unique_ptr<StdioCopier> Start() {
    return std::make_unique<StdioCopier>(*loop_, std::move(from_.read), std::move(to_.write),
                                         [this] { ++ends_; });
  }
  void Until(const std::function<bool()>& condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < limit) loop_->RunOnce(absl::Milliseconds(50));
    EXPECT_TRUE(condition());
  }
  void ReadAvailable() {
    char buffer[65536];
    ssize_t got;
    while ((got = ::read(to_.read.get(), buffer, sizeof buffer)) > 0) {
      received_.append(buffer, static_cast<size_t>(got));
    }
    at_end_ = got == 0;
  }

  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  Pipe from_, to_;
  std::string received_;
  bool at_end_ = false;
  int ends_ = 0;
};

TEST_F(StdioCopierTest, WhatWasWrittenArrivesAndTheEndFollows) {
  const auto copier = Start();
  ASSERT_EQ(::write(from_.write.get(), "hello", 5), 5);
  from_.write.reset();
  Until([&] { return ends_ == 1; });
  ReadAvailable();
  EXPECT_EQ(received_, "hello");
  EXPECT_TRUE(at_end_);
}

TEST_F(StdioCopierTest, AFullDestinationStopsTheReadingAndNothingIsLost) {
  const auto copier = Start();
  std::string sent;
  // Until neither pipe takes more: the copier holds one buffer and lets the rest wait.
  for (int idle = 0; idle < 5;) {
    const std::string chunk(4096, static_cast<char>('a' + sent.size() / 4096 % 26));
    const ssize_t wrote = ::write(from_.write.get(), chunk.data(), chunk.size());
    if (wrote > 0) sent.append(chunk, 0, static_cast<size_t>(wrote));
    idle = wrote > 0 ? 0 : idle + 1;
    loop_->RunOnce(absl::ZeroDuration());
  }
  EXPECT_LE(sent.size(), 2u * 65536 + 16384);
  from_.write.reset();
  Until([&] {
    ReadAvailable();
    return at_end_;
  });
  EXPECT_TRUE(received_ == sent);
}

TEST_F(StdioCopierTest, FinishingDeliversWhatIsThereAlthoughAnotherHoldsThePipeOpen) {
  const auto copier = Start();
  ASSERT_EQ(::write(from_.write.get(), "last words", 10), 10);
  copier->FinishWhenEmpty();
  Until([&] { return ends_ == 1; });
  ReadAvailable();
  EXPECT_EQ(received_, "last words");
  EXPECT_TRUE(at_end_);
}

TEST_F(StdioCopierTest, FinishingWaitsForASlowReader) {
  const auto copier = Start();
  std::string sent;
  for (int i = 0; i < 100; ++i) {
    const ssize_t wrote = ::write(from_.write.get(), std::string(4096, 'x').data(), 4096);
    if (wrote > 0) sent.append(static_cast<size_t>(wrote), 'x');
    loop_->RunOnce(absl::ZeroDuration());
  }
  copier->FinishWhenEmpty();
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(ends_, 0);
  Until([&] {
    ReadAvailable();
    return at_end_;
  });
  EXPECT_EQ(ends_, 1);
  EXPECT_EQ(received_.size(), sent.size());
}

TEST_F(StdioCopierTest, ADestinationThatIsGoneEndsIt) {
  ::signal(SIGPIPE, [](int) {});
  const auto copier = Start();
  to_.read.reset();
  ASSERT_EQ(::write(from_.write.get(), "x", 1), 1);
  Until([&] { return ends_ == 1; });
  EXPECT_TRUE(copier->ended());
}

TEST_F(StdioCopierTest, AbortEndsItOnce) {
  const auto copier = Start();
  copier->Abort();
  copier->Abort();
  EXPECT_EQ(ends_, 1);
}

class FifoCopierTest : public StdioCopierTest {
 protected:
  void SetUp() override {
    path_ = dir_.path() + "/fifo";
    ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
    copier_ = std::make_unique<StdioCopier>(*loop_, std::move(from_.read), Open(O_RDWR),
                                            [this] { ++ends_; });
  }
  UniqueFd Open(int flags) {
    return UniqueFd(::open(path_.c_str(), flags | O_NONBLOCK | O_CLOEXEC));
  }
  // The process writes and is gone before anybody reads.
  void WriteAndLeave() {
    ASSERT_EQ(::write(from_.write.get(), "early", 5), 5);
    from_.write.reset();
    for (int i = 0; i < 5; ++i) loop_->RunOnce(absl::Milliseconds(1));
  }
  TempDir dir_ = *TempDir::Create("gantry-copier-test-");
  std::string path_;
  std::unique_ptr<StdioCopier> copier_;
};

TEST_F(FifoCopierTest, AReaderThatComesAfterTheProcessHasGoneGetsWhatItWroteAndThenTheEnd) {
  WriteAndLeave();
  EXPECT_EQ(ends_, 0) << "held for a reader";
  to_.read = Open(O_RDONLY);
  ReadAvailable();
  EXPECT_EQ(received_, "early");
  EXPECT_FALSE(at_end_);
  Until([&] { return ends_ == 1; });
  ReadAvailable();
  EXPECT_TRUE(at_end_);
}

TEST_F(FifoCopierTest, WhatWasWrittenIsDeliveredWhenItWasReadAndNotBefore) {
  EXPECT_TRUE(copier_->Delivered());
  const UniqueFd reader = Open(O_RDONLY);
  ASSERT_EQ(::write(from_.write.get(), "hello", 5), 5);
  EXPECT_FALSE(copier_->Delivered()) << "it is in the pipe";
  int unread = 0;
  Until([&] { return ::ioctl(reader.get(), FIONREAD, &unread) == 0 && unread == 5; });
  EXPECT_FALSE(copier_->Delivered()) << "it is in the FIFO";
  char buffer[16];
  ASSERT_EQ(::read(reader.get(), buffer, sizeof buffer), 5);
  EXPECT_TRUE(copier_->Delivered());
}

TEST_F(FifoCopierTest, WithoutAReaderTheFifoIsLetGoAfterAWhile) {
  WriteAndLeave();
  Until([&] { return ends_ == 1; });
}

TEST_F(FifoCopierTest, AnEmptyFifoIsNotHeld) {
  from_.write.reset();
  loop_->RunOnce(absl::Seconds(1));
  EXPECT_EQ(ends_, 1);
}

TEST_F(FifoCopierTest, AbortLetsGoAtOnce) {
  WriteAndLeave();
  copier_->Abort();
  EXPECT_EQ(ends_, 1);
}

}  // namespace
}  // namespace gantry::shim
