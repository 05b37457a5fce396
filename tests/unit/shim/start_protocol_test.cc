// The shim as a containerd starts it: "start", "delete", "-v" and "-info" of its program.

#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "proto/containerd/types/introspection.pb.h"
#include "tests/unit/shim/shim_fixture.h"

namespace gantry::shim {
namespace {

struct Answer {
  int exit_code = -1;
  std::string out;
};

// Runs the shim's program in `directory` to its end.
Answer RunProgram(const std::vector<std::string>& arguments, const std::string& directory,
                  const std::vector<std::string>& environment,
                  const char* program = GANTRY_SHIM_BINARY) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd from(ends[0]);
  UniqueFd to(ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, to.get(), 1);
  ::posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
  std::vector<std::string> texts = {"shim"};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  const auto pointers = [](std::vector<std::string>& from) {
    std::vector<char*> to;
    for (std::string& text : from) to.push_back(text.data());
    to.push_back(nullptr);
    return to;
  };
  std::vector<std::string> variables = environment;
  pid_t pid = -1;
  EXPECT_EQ(::posix_spawn(&pid, program, &actions, nullptr, pointers(texts).data(),
                          pointers(variables).data()),
            0);
  ::posix_spawn_file_actions_destroy(&actions);
  to.reset();
  Answer answer;
  // To the end of file: what stays behind must not hold the pipe open.
  answer.out = ReadFd(from.get(), 1 << 20, "the program's output").value_or("unreadable");
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  answer.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return answer;
}

class StartProtocolTest : public ShimFixture {
 protected:
  void StartShim() override {
    WriteSpec({"sleep", "1000"});
    const Answer started = Start(id_, dir_->path());
    ASSERT_EQ(started.exit_code, 0);
    ASSERT_TRUE(absl::StartsWith(started.out, "unix:///run/gantry/s/")) << started.out;
    address_ = started.out;
    ConnectTo(address_);
  }

  Answer Start(const std::string& id, const std::string& bundle,
               const std::vector<std::string>& more = {}) {
    std::vector<std::string> environment = {"TTRPC_ADDRESS=" + dir_->path() + "/events"};
    environment.insert(environment.end(), more.begin(), more.end());
    return RunProgram({"-namespace", "testing", "-address", dir_->path() + "/daemon.sock",
                       "-publish-binary", "/bin/false", "-id", id, "start"},
                      bundle, environment);
  }

  void ConnectTo(const std::string& address) {
    socket_ = std::string(absl::StripPrefix(address, "unix://"));
    client_ = *ttrpc::Client::Connect(*loop_, socket_);
    task::ConnectResponse connected;
    ASSERT_TRUE(connected.ParseFromString(*Call("Connect", ForId<task::ConnectRequest>(id_))));
    pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, connected.shim_pid(), 0)));
  }

  template <typename Request>
  static Request ForId(const std::string& id) {
    Request request;
    request.set_id(id);
    return request;
  }

  // A second bundle on the same root, whose annotations put it into the first one's group.
  std::string SecondBundle(const std::string& id) {
    const std::string bundle = dir_->path() + "/second";
    EXPECT_TRUE(MakeDirectories(bundle).ok());
    Json spec = *ParseJson(*ReadFile(dir_->path() + "/config.json"), "spec");
    spec["root"]["path"] = dir_->path() + "/rootfs";
    spec["annotations"] = {{"io.containerd.runc.v2.group", id_}};
    spec["linux"]["cgroupsPath"] = "/gantry-test/" + id;
    EXPECT_TRUE(
        WriteFileAtomic(bundle + "/config.json", DumpJson(spec), 0600, Durability::kNotDurable)
            .ok());
    return bundle;
  }

  bool EndsWithin(int milliseconds) {
    pollfd gone{pidfd_.get(), POLLIN, 0};
    return ::poll(&gone, 1, milliseconds) == 1;
  }

  std::string address_;
  std::string socket_;
};

TEST_F(StartProtocolTest, TheAddressIsInTheBundleAndStartedTwiceItIsTheSame) {
  EXPECT_EQ(ReadFile(dir_->path() + "/address").value_or(""), address_);
  EXPECT_EQ(Start(id_, dir_->path()).out, address_);
  EXPECT_TRUE(Call("Shutdown", task::ShutdownRequest()).ok());
  EXPECT_TRUE(EndsWithin(10000));
  EXPECT_NE(::access(socket_.c_str(), F_OK), 0);
}

TEST_F(StartProtocolTest, JsonIsAnsweredToADaemonThatSaysHowMuchItKnows) {
  const Json answer =
      *ParseJson(Start(id_, dir_->path(), {"MAX_SHIM_VERSION=3"}).out, "the answer");
  EXPECT_EQ(answer, Json({{"version", 3}, {"address", address_}, {"protocol", "ttrpc"}}));
  EXPECT_EQ((*ParseJson(Start(id_, dir_->path(), {"MAX_SHIM_VERSION=2"}).out, "x"))["version"], 2);
  EXPECT_TRUE(Call("Shutdown", task::ShutdownRequest()).ok());
}

TEST_F(StartProtocolTest, TheContainersOfAGroupShareAShimWhichEndsAfterTheLast) {
  const std::string second = id_ + "-b";
  const std::string bundle = SecondBundle(second);
  EXPECT_EQ(Start(second, bundle).out, address_);
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  task::CreateTaskRequest create = ForId<task::CreateTaskRequest>(second);
  create.set_bundle(bundle);
  ASSERT_TRUE(Call("Create", create).ok());
  ASSERT_TRUE(Call("Start", ForId<task::StartRequest>(second)).ok());
  EXPECT_EQ(Call("State", ForId<task::StateRequest>("other")).status().code(),
            absl::StatusCode::kNotFound);

  task::KillRequest kill = ForId<task::KillRequest>(second);
  kill.set_signal(SIGKILL);
  ASSERT_TRUE(Call("Kill", kill).ok());
  ASSERT_TRUE(Call("Wait", ForId<task::WaitRequest>(second)).ok());
  ASSERT_TRUE(Call("Delete", ForId<task::DeleteRequest>(second)).ok());
  ASSERT_TRUE(Call("Shutdown", ForId<task::ShutdownRequest>(second)).ok());
  EXPECT_FALSE(EndsWithin(100));
  task::StateResponse state;
  ASSERT_TRUE(state.ParseFromString(*Call("State", ForId<task::StateRequest>(id_))));
  EXPECT_EQ(state.status(), containerd::v1::types::RUNNING);

  ASSERT_EQ(Kill(SIGKILL), absl::OkStatus());
  EXPECT_EQ(Wait(), 137u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  init_pidfd_.reset();
  ASSERT_TRUE(Call("Shutdown", ForId<task::ShutdownRequest>(id_)).ok());
  EXPECT_TRUE(EndsWithin(10000));
  EXPECT_NE(::access(socket_.c_str(), F_OK), 0);
}

TEST_F(StartProtocolTest, DeleteCleansUpAfterAShimThatWasKilled) {
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  ASSERT_TRUE(EndsWithin(10000));
  pollfd init{init_pidfd_.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&init, 1, 0), 0) << "the container's process is left";
  const Answer deleted = RunProgram({"-namespace", "testing", "-id", id_, "-bundle", dir_->path(),
                                     "-address", dir_->path() + "/daemon.sock", "delete"},
                                    dir_->path(), {});
  EXPECT_EQ(deleted.exit_code, 0);
  task::DeleteResponse response;
  ASSERT_TRUE(response.ParseFromString(deleted.out));
  EXPECT_EQ(response.exit_status(), 137u);
  EXPECT_GT(response.pid(), 0u);
  EXPECT_EQ(::poll(&init, 1, 10000), 1);
  EXPECT_NE(::access(socket_.c_str(), F_OK), 0);
  for (const char* hierarchy : {"", "/memory", "/pids", "/unified"}) {
    EXPECT_FALSE(
        std::filesystem::exists(absl::StrCat("/sys/fs/cgroup", hierarchy, "/gantry-test/", id_)));
  }
  init_pidfd_.reset();
}

TEST_F(StartProtocolTest, ItsProgramIsNotWritableThroughProcOnceItHasEnded) {
  ASSERT_TRUE(Call("Shutdown", task::ShutdownRequest()).ok());
  ASSERT_TRUE(EndsWithin(10000));
  // Of its own, since a program that runs elsewhere cannot be written either.
  const std::string copy = dir_->path() + "/shim-copy";
  std::filesystem::copy_file(GANTRY_SHIM_BINARY, copy);
  const Answer started =
      RunProgram({"-namespace", "testing", "-id", id_, "start"}, dir_->path(), {}, copy.c_str());
  ConnectTo(started.out);
  task::ConnectResponse connected;
  ASSERT_TRUE(connected.ParseFromString(*Call("Connect", ForId<task::ConnectRequest>(id_))));
  const UniqueFd exe = *OpenFile(absl::StrCat("/proc/", connected.shim_pid(), "/exe"), O_PATH);
  ASSERT_TRUE(Call("Shutdown", task::ShutdownRequest()).ok());
  ASSERT_TRUE(EndsWithin(10000));
  const auto writable = OpenFile(absl::StrCat("/proc/self/fd/", exe.get()), O_WRONLY);
  EXPECT_THAT(std::string(writable.status().message()),
              testing::HasSubstr("Read-only file system"));
  EXPECT_TRUE(OpenFile(copy, O_WRONLY).ok());
}

TEST(ShimProgramTest, VersionAndInfoAreTold) {
  const Answer version = RunProgram({"-v"}, "/", {});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_THAT(version.out, testing::HasSubstr("Version:"));
  const Answer info = RunProgram({"-info"}, "/", {});
  containerd::types::RuntimeInfo told;
  ASSERT_TRUE(told.ParseFromString(info.out));
  EXPECT_EQ(told.name(), "io.containerd.gantry.v1");
  EXPECT_TRUE(ParseJson(told.features().value(), "features").ok());
}

TEST(ShimProgramTest, AnUnknownFlagIsRefused) {
  EXPECT_EQ(RunProgram({"-no-such", "start"}, "/", {}).exit_code, 2);
}

}  // namespace
}  // namespace gantry::shim
