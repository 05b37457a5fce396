// With the real zygote and shim: how shims are made, found again, and not left behind.

#include "services/tasks/zygote_launcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "base/file.h"
#include "base/temp_dir.h"

namespace gantry::tasks {
namespace {

class ZygoteLauncherTest : public testing::Test {
 protected:
  ZygoteLauncherTest()
      : state_(*TempDir::Create("gantry-launch-")),
        loop_(*EventLoop::Create()),
        zygote_(*runtime::ZygoteClient::Start(GANTRY_SHIM_BINARY)),
        bundles_(state_.path()),
        launcher_(*loop_, *zygote_, state_.path(), state_.path() + "/daemon.ttrpc", false) {
    loop_thread_ = std::thread([this] { loop_->Run(); });
    bundle_ = *bundles_.Create("ns", "c", "{}");
  }
  ~ZygoteLauncherTest() override {
    End(shim_.pidfd);
    shim_.shim = nullptr;
    loop_->Stop();
    loop_thread_.join();
  }
  static void End(const UniqueFd& pidfd) {
    if (pidfd.valid()) ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  }
  static bool EndsSoon(const UniqueFd& pidfd) {
    pollfd ended = {pidfd.get(), POLLIN, 0};
    return ::poll(&ended, 1, 10000) == 1;
  }
  absl::Status Launch() {
    absl::StatusOr<LaunchedShim> shim = launcher_.Launch({"ns", "c", bundle_, "", {}});
    if (shim.ok()) shim_ = *std::move(shim);
    return shim.status();
  }
  static absl::Status AskState(Shim& shim) {
    std::promise<absl::Status> answer;
    shim.State("c", "", [&](const absl::StatusOr<ProcessState>& state) {
      answer.set_value(state.status());
    });
    return answer.get_future().get();
  }
  bool SocketIsThere() const { return ::access(bundles_.SocketPath("ns", "c").c_str(), F_OK) == 0; }

  TempDir state_;
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<runtime::ZygoteClient> zygote_;
  Bundles bundles_;
  ZygoteLauncher launcher_;
  std::thread loop_thread_;
  std::string bundle_;
  LaunchedShim shim_;
};

TEST_F(ZygoteLauncherTest, AShimAnswersOnASocketThatOnlyRootMayOpen) {
  ASSERT_TRUE(Launch().ok());
  EXPECT_TRUE(absl::IsNotFound(AskState(*shim_.shim)));
  struct stat info = {};
  ASSERT_EQ(::stat(bundles_.SocketPath("ns", "c").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(ZygoteLauncherTest, AShimIsFoundAgain) {
  ASSERT_TRUE(Launch().ok());
  shim_.shim = nullptr;
  const absl::StatusOr<LaunchedShim> again = launcher_.Reconnect("ns", "c", bundle_);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->address.pid, shim_.address.pid);
  EXPECT_TRUE(absl::IsNotFound(AskState(*again->shim)));
}

TEST_F(ZygoteLauncherTest, ADeadShimIsNotFoundAndItsSocketGoes) {
  ASSERT_TRUE(Launch().ok());
  End(shim_.pidfd);
  ASSERT_TRUE(EndsSoon(shim_.pidfd));
  EXPECT_TRUE(absl::IsNotFound(launcher_.Reconnect("ns", "c", bundle_).status()));
  EXPECT_FALSE(SocketIsThere());
}

TEST_F(ZygoteLauncherTest, APidThatIsAnotherProcessesByNowIsNotTakenForTheShim) {
  ASSERT_TRUE(Launch().ok());
  ShimAddress other = shim_.address;
  other.pid = ::getpid();
  ASSERT_TRUE(WriteAddress(bundle_, other).ok());
  EXPECT_TRUE(absl::IsNotFound(launcher_.Reconnect("ns", "c", bundle_).status()));
  other = shim_.address;
  other.boot_id = "another";
  ASSERT_TRUE(WriteAddress(bundle_, other).ok());
  EXPECT_TRUE(absl::IsNotFound(launcher_.Reconnect("ns", "c", bundle_).status()));
}

TEST_F(ZygoteLauncherTest, AShimThatWasForkedAndNeverWrittenDownIsEnded) {
  ASSERT_TRUE(Launch().ok());
  shim_.shim = nullptr;
  ASSERT_EQ(::unlink((bundle_ + "/bootstrap.json").c_str()), 0);
  EXPECT_TRUE(absl::IsNotFound(launcher_.Reconnect("ns", "c", bundle_).status()));
  EXPECT_TRUE(EndsSoon(shim_.pidfd));
  EXPECT_FALSE(SocketIsThere());
}

TEST_F(ZygoteLauncherTest, AStateDirectoryThatIsTooLongForASocketIsRefusedByItsPath) {
  const std::string deep = state_.path() + "/" + std::string(100, 'd');
  ZygoteLauncher launcher(*loop_, *zygote_, deep, deep + "/ttrpc", false);
  const absl::Status refused = launcher.Launch({"ns", "c", bundle_, "", {}}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(refused));
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr(deep));
}

}  // namespace
}  // namespace gantry::tasks
