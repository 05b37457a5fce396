#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "base/event_loop.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "runtime/zygote/zygote_client.h"
#include "ttrpc/client.h"

namespace gantry::runtime {
namespace {

constexpr char kTask[] = "containerd.task.v2.Task";

bool EndsWithin(int pidfd, int milliseconds) {
  pollfd watched{pidfd, POLLIN, 0};
  return ::poll(&watched, 1, milliseconds) == 1;
}

// The forked shim is not this process's child: by its pidfd it is ended all the same.
class RunningShim {
 public:
  explicit RunningShim(ForkedShim shim) : shim_(std::move(shim)) {}
  ~RunningShim() {
    ::syscall(SYS_pidfd_send_signal, shim_.pidfd.get(), SIGKILL, nullptr, 0);
    EndsWithin(shim_.pidfd.get(), 5000);
  }
  const ForkedShim& operator*() const { return shim_; }
  const ForkedShim* operator->() const { return &shim_; }

 private:
  ForkedShim shim_;
};

class ZygoteTest : public testing::Test {
 protected:
  UniqueFd Listen(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 16), 0);
    return fd;
  }

  absl::StatusOr<ForkedShim> Fork(const std::string& id) {
    const UniqueFd listener = Listen(Socket(id));
    return zygote_->Fork({"testing", id, dir_->path(), "", false, listener.get()});
  }

  std::string Socket(const std::string& id) const { return dir_->path() + "/" + id; }

  absl::StatusOr<std::string> Call(const std::string& id, const std::string& method) {
    const auto loop = *EventLoop::Create();
    const auto client = *ttrpc::Client::Connect(*loop, Socket(id));
    std::optional<absl::StatusOr<std::string>> result;
    client->CallMethod(kTask, method, "", {.timeout = absl::Seconds(10)},
                       [&](absl::StatusOr<std::string> r) { result = std::move(r); });
    while (!result.has_value()) loop->RunOnce(absl::Milliseconds(100));
    return *result;
  }

  absl::StatusOr<TempDir> dir_ = TempDir::Create("zygote");
  std::unique_ptr<ZygoteClient> zygote_ = *ZygoteClient::Start(GANTRY_SHIM_BINARY);
};

// CVE-2019-5736: a container keeps the binary of a process that came into it open, and writes to it
// once that has ended.
TEST_F(ZygoteTest, TheBinaryCannotBeOverwrittenThroughProc) {
  const absl::StatusOr<std::string> before = ReadFile(GANTRY_SHIM_BINARY);
  ASSERT_TRUE(before.ok());
  UniqueFd kept;
  {
    absl::StatusOr<ForkedShim> forked = Fork("a");
    ASSERT_TRUE(forked.ok()) << forked.status();
    const RunningShim shim(*std::move(forked));
    const std::string exe = absl::StrCat("/proc/", shim->pid, "/exe");
    EXPECT_LT(::open(exe.c_str(), O_WRONLY | O_CLOEXEC), 0) << "while it runs";
    kept = UniqueFd(::open(exe.c_str(), O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(kept.valid());
  }
  zygote_.reset();
  const std::string again = absl::StrCat("/proc/self/fd/", kept.get());
  const UniqueFd writable(::open(again.c_str(), O_WRONLY | O_CLOEXEC));
  if (writable.valid()) {
    EXPECT_EQ(::write(writable.get(), "#!/evil", 7), -1);
    EXPECT_EQ(::ftruncate(writable.get(), 0), -1);
  }
  EXPECT_EQ(*ReadFile(GANTRY_SHIM_BINARY), *before);
}

TEST_F(ZygoteTest, AForkedShimAnswersOnItsSocketAndEndsByShutdown) {
  absl::StatusOr<ForkedShim> forked = Fork("a");
  ASSERT_TRUE(forked.ok()) << forked.status();
  const RunningShim shim(*std::move(forked));
  EXPECT_TRUE(Call("a", "Connect").ok());
  EXPECT_EQ(Call("a", "State").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Call("a", "Shutdown").ok());
  EXPECT_TRUE(EndsWithin(shim->pidfd.get(), 10000));
  // A later shim of the same container may be bound to it by now.
  EXPECT_EQ(::access(Socket("a").c_str(), F_OK), 0) << "the socket's file is its maker's";
}

TEST_F(ZygoteTest, TheShimsTitleNamesNamespaceIdAndSocket) {
  const RunningShim shim(*Fork("titled"));
  ASSERT_TRUE(Call("titled", "Connect").ok());
  std::string text = *ReadFile(absl::StrCat("/proc/", shim->pid, "/cmdline"));
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::replace(text.begin(), text.end(), '\0', ' ');
  EXPECT_EQ(text, absl::StrCat("containerd-shim-gantry-v1 -namespace testing -id titled -address ",
                               Socket("titled")));
}

TEST_F(ZygoteTest, TheShimHoldsNoDescriptorOfTheZygoteOrTheDaemon) {
  const RunningShim shim(*Fork("fds"));
  ASSERT_TRUE(Call("fds", "Connect").ok());
  // stdio, listener, epoll, the loop's wake-up, SIGCHLD's eventfd; perhaps the closing connection.
  EXPECT_LE(ListDirectory(absl::StrCat("/proc/", shim->pid, "/fd"))->size(), 8u);
  EXPECT_EQ(::getsid(shim->pid), shim->pid);
}

TEST_F(ZygoteTest, AShimOutlivesItsZygote) {
  const RunningShim shim(*Fork("left"));
  zygote_.reset();
  EXPECT_TRUE(Call("left", "Connect").ok());
  EXPECT_FALSE(EndsWithin(shim->pidfd.get(), 0));
}

TEST_F(ZygoteTest, AZygoteThatWasKilledIsReplaced) {
  const pid_t first = zygote_->pid();
  const UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, first, 0)));
  ::syscall(SYS_pidfd_send_signal, pidfd.get(), SIGKILL, nullptr, 0);
  ASSERT_TRUE(EndsWithin(pidfd.get(), 5000));
  absl::StatusOr<ForkedShim> forked = Fork("after");
  ASSERT_TRUE(forked.ok()) << forked.status();
  const RunningShim shim(*std::move(forked));
  EXPECT_NE(zygote_->pid(), first);
  EXPECT_TRUE(Call("after", "Connect").ok());
}

TEST_F(ZygoteTest, AMissingBundleIsNamedAndTheZygoteGoesOn) {
  const UniqueFd listener = Listen(Socket("x"));
  const absl::Status failed =
      zygote_->Fork({"testing", "x", dir_->path() + "/none", "", false, listener.get()}).status();
  EXPECT_EQ(failed.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(failed.message(), testing::HasSubstr("/none"));
  absl::StatusOr<ForkedShim> forked = Fork("y");
  ASSERT_TRUE(forked.ok()) << forked.status();
  const RunningShim shim(*std::move(forked));
}

TEST_F(ZygoteTest, AMissingBinaryIsNotFound) {
  EXPECT_EQ(ZygoteClient::Start("/no/such/shim").status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace gantry::runtime
