#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/json.h"
#include "tests/unit/runtime/container_fixture.h"

namespace gantry::runtime {
namespace {

using ::testing::HasSubstr;

// Takes listeners at a socket and answers every call that waits with an errno of its own.
class Agent {
 public:
  explicit Agent(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket_.get(), 4) != 0) {
      std::abort();
    }
    thread_ = std::thread([this] { Serve(); });
  }
  ~Agent() { Stop(); }
  void Stop() {
    if (!thread_.joinable()) return;
    ::shutdown(socket_.get(), SHUT_RDWR);
    thread_.join();
  }
  void WaitFor(size_t count) {
    std::unique_lock lock(mutex_);
    came_.wait_for(lock, std::chrono::seconds(30), [&] { return states.size() >= count; });
  }
  // After Stop: what came with the listeners.
  std::vector<Json> states;
  std::vector<int> calls;

 private:
  void Serve() {
    for (;;) {
      const UniqueFd connection(::accept(socket_.get(), nullptr, nullptr));
      if (!connection.valid()) return;
      const UniqueFd listener = Take(connection.get());
      Answer(listener.get());
    }
  }
  UniqueFd Take(int connection) {
    char text[8192];
    iovec part{text, sizeof text};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t size = ::recvmsg(connection, &message, MSG_CMSG_CLOEXEC);
    {
      const std::lock_guard lock(mutex_);
      states.push_back(Json::parse(std::string(text, size > 0 ? size : 0), nullptr, false));
    }
    came_.notify_all();
    int fd = -1;
    if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr) {
      std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    }
    return UniqueFd(fd);
  }
  // Until nobody is left under the filter.
  void Answer(int listener) {
    for (;;) {
      seccomp_notif call{};
      if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) {
        if (errno == EINTR) continue;
        return;
      }
      calls.push_back(call.data.nr);
      seccomp_notif_resp answer{};
      answer.id = call.id;
      answer.error = -ENOMEDIUM;
      ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
  }
  UniqueFd socket_;
  std::mutex mutex_;
  std::condition_variable came_;
  std::thread thread_;
};

class SeccompNotifyTest : public ContainerFixture {
 protected:
  [[nodiscard]] std::string Path() const { return bundle_->path() + "/agent"; }
  Spec Watched(Args args) {
    Spec spec = bundle_->DefaultSpec(std::move(args));
    LinuxSeccomp profile;
    profile.default_action = "SCMP_ACT_ALLOW";
    profile.listener_path = Path();
    profile.listener_metadata = "for the agent";
    profile.syscalls = {{{"mkdir", "mkdirat"}, "SCMP_ACT_NOTIFY", {}, {}}};
    spec.linux_.seccomp = profile;
    return spec;
  }
};

TEST_F(SeccompNotifyTest, TheListenerGoesToItsPathAndDecidesTheCall) {
  for (const bool no_new_privileges : {true, false}) {
    ::unlink(Path().c_str());
    Agent agent(Path());
    Spec spec = Watched(Args{"mkdir", "/x"});
    spec.annotations["a"] = "b";
    spec.process.no_new_privileges = no_new_privileges;
    CreateOptions options = OptionsFor(*bundle_, std::move(spec));
    const std::string id = options.id;
    const absl::StatusOr<RunResult> result = RunContainer(std::move(options));
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(result->output, HasSubstr("No medium found"));
    agent.Stop();
    ASSERT_EQ(agent.states.size(), 1u);
    const Json& state = agent.states[0];
    EXPECT_EQ(state["fds"], Json({"seccompFd"}));
    EXPECT_EQ(state["metadata"], "for the agent");
    EXPECT_EQ(state["ociVersion"], "1.0.2");
    EXPECT_GT(state["pid"], 1);
    EXPECT_EQ(state["state"]["id"], id);
    EXPECT_EQ(state["state"]["status"], "creating");
    EXPECT_EQ(state["state"]["pid"], state["pid"]);
    EXPECT_EQ(state["state"]["bundle"], bundle_->path());
    EXPECT_EQ(state["state"]["annotations"]["a"], "b");
    EXPECT_THAT(agent.calls, testing::ElementsAre(SYS_mkdir));
  }
}

TEST_F(SeccompNotifyTest, AnExecHasAListenerOfItsOwn) {
  Agent agent(Path());
  const std::unique_ptr<Container> container = Started(Watched(Args{"sleep", "1000"}));
  ASSERT_NE(container, nullptr);
  // The agent serves init alone as long as that lives: this connection is queued.
  const Process process = Watched(Args{"true"}).process;
  const absl::StatusOr<ChildProcess> child = container->Exec(process, Stdio{});
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(ExitCodeOf(child->pidfd.get()), 0);
  const pid_t init = container->pid();
  End(*container);
  agent.WaitFor(2);
  agent.Stop();
  ASSERT_EQ(agent.states.size(), 2u);
  EXPECT_EQ(agent.states[0]["pid"], init);
  EXPECT_EQ(agent.states[1]["pid"], child->pid);
  EXPECT_EQ(agent.states[1]["state"]["pid"], child->pid);
  EXPECT_EQ(agent.states[1]["state"]["status"], "running");
}

TEST_F(SeccompNotifyTest, WithoutAnAgentNothingStarts) {
  EXPECT_THAT(Failure(Watched(Args{"true"})).message(),
              HasSubstr("linux.seccomp.listenerPath: " + Path()));
  Spec spec = Watched(Args{"true"});
  spec.linux_.seccomp->listener_path.clear();
  EXPECT_THAT(Failure(std::move(spec)).message(), HasSubstr("listenerPath: empty"));
}

TEST_F(SeccompNotifyTest, APathWithoutARuleThatNeedsItIsNotUsed) {
  Spec spec = Watched(Args{"echo", "ran"});
  spec.linux_.seccomp->syscalls[0].action = "SCMP_ACT_ERRNO";
  EXPECT_EQ(Run(std::move(spec)).output, "ran\n");
}

}  // namespace
}  // namespace gantry::runtime
