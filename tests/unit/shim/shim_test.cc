// The shim from end to end: forked by the zygote, driven over ttrpc, with real containers.

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/wire.h"
#include "runtime/zygote/zygote_client.h"
#include "tests/unit/shim/shim_fixture.h"

namespace gantry::shim {
namespace {

class ShimTest : public ShimFixture {
 protected:
  void StartShim() override {
    const UniqueFd listener = Listen("shim");
    absl::StatusOr<runtime::ForkedShim> shim = zygote_->Fork(
        {"testing", id_, dir_->path(), dir_->path() + "/events", false, listener.get()});
    ASSERT_TRUE(shim.ok()) << shim.status();
    pidfd_ = std::move(shim->pidfd);
    pid_ = shim->pid;
    client_ = *ttrpc::Client::Connect(*loop_, dir_->path() + "/shim");
  }

  std::unique_ptr<runtime::ZygoteClient> zygote_ =
      *runtime::ZygoteClient::Start(GANTRY_SHIM_BINARY);
  pid_t pid_ = -1;
};

TEST_F(ShimTest, AContainerRunsPrintsExitsAndLeavesNothing) {
  WriteSpec({"sh", "-c", "echo out; echo err >&2; exit 7"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_stdout(MakeFifo("out"));
  request.set_stderr(MakeFifo("err"));
  const UniqueFd out = *OpenFile(request.stdout(), O_RDONLY | O_NONBLOCK);
  const UniqueFd err = *OpenFile(request.stderr(), O_RDONLY | O_NONBLOCK);
  ASSERT_EQ(Create(request), absl::OkStatus());
  EXPECT_EQ(Create(request).code(), absl::StatusCode::kAlreadyExists);
  ASSERT_EQ(StartTask(), absl::OkStatus());
  EXPECT_EQ(Wait(), 7u);
  EXPECT_EQ(Kill(SIGTERM), absl::NotFoundError("process already finished"));
  EXPECT_EQ(StartTask().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_EQ(ReadToEnd(out.get()), "out\n");
  EXPECT_EQ(ReadToEnd(err.get()), "err\n");
  EXPECT_THAT(topics_, testing::ElementsAre("/tasks/create", "/tasks/start", "/tasks/exit",
                                            "/tasks/delete"));
  EXPECT_EQ(Delete().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Call("Shutdown", task::ShutdownRequest()).ok());
  pollfd gone{pidfd_.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&gone, 1, 10000), 1);
  for (const char* hierarchy : {"", "/memory", "/pids", "/unified"}) {
    EXPECT_FALSE(
        std::filesystem::exists(absl::StrCat("/sys/fs/cgroup", hierarchy, "/gantry-test/", id_)));
  }
}

TEST_F(ShimTest, InputReachesTheProcessAndCloseIOEndsIt) {
  WriteSpec({"cat"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_stdin(MakeFifo("in"));
  request.set_stdout(MakeFifo("out"));
  const UniqueFd out = *OpenFile(request.stdout(), O_RDONLY | O_NONBLOCK);
  ASSERT_EQ(Create(request), absl::OkStatus());
  const UniqueFd in = *OpenFile(request.stdin(), O_WRONLY | O_NONBLOCK);
  ASSERT_EQ(StartTask(), absl::OkStatus());
  ASSERT_EQ(::write(in.get(), "a line\n", 7), 7);
  task::CloseIORequest close = For<task::CloseIORequest>("");
  close.set_stdin(true);
  ASSERT_TRUE(Call("CloseIO", close).ok());
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_EQ(ReadToEnd(out.get()), "a line\n");
}

TEST_F(ShimTest, OneWhoseContainerRunsIsNotWoken) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  const auto sleeps = [this] {
    for (const absl::string_view line :
         absl::StrSplit(ReadFile(absl::StrCat("/proc/", pid_, "/status")).value_or(""), '\n')) {
      if (absl::StartsWith(line, "voluntary_ctxt_switches:")) return std::string(line);
    }
    return std::string();
  };
  // It gives memory back when it has rested for a second, whenever a busy machine lets it. After
  // that there is nothing to do, and it does not look either whether it was abandoned, as one
  // without a container does every 15 seconds: who is woken on its own is never still for this
  // long.
  constexpr absl::Duration kStill = absl::Seconds(16);
  const absl::Time limit = absl::Now() + absl::Minutes(2);
  std::string before;
  do {
    before = sleeps();
    ASSERT_FALSE(before.empty());
    // The daemon goes on: an event that it does not answer is sent again and again.
    const absl::Time still = absl::Now() + kStill;
    while (absl::Now() < still) loop_->RunOnce(still - absl::Now());
  } while (sleeps() != before && absl::Now() < limit);
  EXPECT_EQ(sleeps(), before);
}

TEST_F(ShimTest, AKilledContainerExitsWith128AndTheSignal) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  EXPECT_EQ(Delete().code(), absl::StatusCode::kFailedPrecondition);
  std::optional<absl::StatusOr<std::string>> waited;
  CallLater("Wait", For<task::WaitRequest>(""), &waited);
  EXPECT_EQ(Kill(SIGKILL), absl::OkStatus());
  Until([&] { return waited.has_value(); });
  EXPECT_EQ(Wait(), 137u);
  EXPECT_EQ(Delete(), absl::OkStatus());
}

TEST_F(ShimTest, AnExecRunsInTheContainerWithItsOwnOutputAndStatus) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  task::ExecProcessRequest exec = ExecRequest("e1", {"sh", "-c", "cat /proc/1/comm; exit 3"});
  exec.set_stdout(MakeFifo("e1-out"));
  const UniqueFd out = *OpenFile(exec.stdout(), O_RDONLY | O_NONBLOCK);
  ASSERT_TRUE(Call("Exec", exec).ok());
  EXPECT_EQ(Call("Exec", exec).status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_EQ(StartTask("e1"), absl::OkStatus());
  EXPECT_EQ(Wait("e1"), 3u);
  ASSERT_EQ(Delete("e1"), absl::OkStatus());
  EXPECT_EQ(ReadToEnd(out.get()), "sleep\n");
  EXPECT_EQ(Kill(SIGTERM, "none").code(), absl::StatusCode::kNotFound);
}

TEST_F(ShimTest, AnExecWhoseChildHoldsTheOutputOpenCanBeDeleted) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  task::ExecProcessRequest exec = ExecRequest("bg", {"sh", "-c", "sleep 900 & echo started"});
  exec.set_stdout(MakeFifo("bg-out"));
  const UniqueFd out = *OpenFile(exec.stdout(), O_RDONLY | O_NONBLOCK);
  ASSERT_TRUE(Call("Exec", exec).ok());
  ASSERT_EQ(StartTask("bg"), absl::OkStatus());
  EXPECT_EQ(Wait("bg"), 0u);
  ASSERT_EQ(Delete("bg"), absl::OkStatus());
  EXPECT_EQ(ReadToEnd(out.get()), "started\n");
}

TEST_F(ShimTest, AMissingProgramIsSaidInRuncsWords) {
  WriteSpec({"/no/such"});
  const absl::Status failed = Create(CreateRequest());
  EXPECT_EQ(failed.code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(std::string(failed.message()),
            "OCI runtime create failed: runc create failed: unable to start container process: "
            "exec: \"/no/such\": stat /no/such: no such file or directory");
  EXPECT_TRUE(Call("Shutdown", task::ShutdownRequest()).ok());
}

TEST_F(ShimTest, AMissingProgramOfAnExecIsSaidInRuncsWords) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  ASSERT_TRUE(Call("Exec", ExecRequest("e", {"/no/such"})).ok());
  const absl::Status failed = StartTask("e");
  EXPECT_EQ(failed.code(), absl::StatusCode::kUnknown);
  EXPECT_EQ(std::string(failed.message()),
            "OCI runtime exec failed: exec failed: unable to start container process: "
            "exec: \"/no/such\": stat /no/such: no such file or directory");
  EXPECT_EQ(Delete("e"), absl::OkStatus());
}

TEST_F(ShimTest, ATerminalCarriesOutputInputAndItsSize) {
  WriteSpec({"sh", "-c", "read line; echo got $line; cat /proc/self/stat >/dev/null; exit 0"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_terminal(true);
  request.set_stdin(MakeFifo("in"));
  request.set_stdout(MakeFifo("out"));
  const UniqueFd out = *OpenFile(request.stdout(), O_RDONLY | O_NONBLOCK);
  ASSERT_EQ(Create(request), absl::OkStatus());
  const UniqueFd in = *OpenFile(request.stdin(), O_WRONLY | O_NONBLOCK);
  ASSERT_EQ(StartTask(), absl::OkStatus());
  task::ResizePtyRequest resize = For<task::ResizePtyRequest>("");
  resize.set_width(100);
  resize.set_height(40);
  EXPECT_TRUE(Call("ResizePty", resize).ok());
  ASSERT_EQ(::write(in.get(), "word\n", 5), 5);
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_THAT(ReadToEnd(out.get()), testing::HasSubstr("got word\r\n"));
}

TEST_F(ShimTest, TheExitsOfExecsAreToldBeforeTheInits) {
  WriteSpec({"sleep", "1000"});
  // In the host's pid namespace the kernel does not end them with the init: the shim does.
  Json spec = *ParseJson(*ReadFile(dir_->path() + "/config.json"), "spec");
  spec["linux"]["namespaces"] = {{{"type", "mount"}}};
  spec["mounts"] = Json::array();
  spec.erase("hostname");
  ASSERT_TRUE(
      WriteFileAtomic(dir_->path() + "/config.json", DumpJson(spec), 0600, Durability::kNotDurable)
          .ok());
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  for (const char* id : {"e1", "e2", "e3"}) {
    ASSERT_TRUE(Call("Exec", ExecRequest(id, {"sleep", "900"})).ok());
    ASSERT_EQ(StartTask(id), absl::OkStatus());
  }
  ASSERT_EQ(Kill(SIGKILL), absl::OkStatus());
  EXPECT_EQ(Wait(), 137u);
  EXPECT_EQ(Wait("e1"), 137u);
  ASSERT_EQ(exits_.size(), 4u);
  EXPECT_EQ(exits_.back(), id_);
  EXPECT_EQ(Delete(), absl::OkStatus());
}

TEST_F(ShimTest, ThousandsOfExecsLeaveNoMemoryAndNoDescriptorBehind) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  task::ConnectResponse connected;
  ASSERT_TRUE(connected.ParseFromString(*Call("Connect", task::ConnectRequest())));
  const std::string proc = absl::StrCat("/proc/", connected.shim_pid());
  const auto run = [this](int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(Call("Exec", ExecRequest("e", {"true"})).ok());
      ASSERT_EQ(StartTask("e"), absl::OkStatus());
      ASSERT_EQ(Wait("e"), 0u);
      ASSERT_EQ(Delete("e"), absl::OkStatus());
    }
  };
  const auto private_dirty = [&proc] {
    const std::string rollup = ReadFile(proc + "/smaps_rollup").value_or("");
    const size_t at = rollup.find("Private_Dirty:");
    return at == std::string::npos ? -1 : std::atol(rollup.c_str() + at + 14);
  };
  const size_t descriptors = ListDirectory(proc + "/fd")->size();
  run(100);
  const long before = private_dirty();
  run(2000);
  // What it keeps open for the next exec goes when there has been none for a second.
  Until([&] { return ListDirectory(proc + "/fd")->size() == descriptors; });
  EXPECT_LE(private_dirty(), before + 32) << "kilobytes";
  EXPECT_EQ(ListDirectory(proc + "/task")->size(), 1u);
}

TEST_F(ShimTest, ACreatedContainerThatWasNeverStartedCanBeDeleted) {
  WriteSpec({"true"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  EXPECT_EQ(Delete(), absl::OkStatus());
}

// Only the form of the path is the same on every host: what systemd then does is tested where it is
// the init (tests/vm/run.sh --systemd).
TEST_F(ShimTest, ASystemdCgroupMustHaveAPathOfItsForm) {
  WriteSpec({"true"});
  task::CreateTaskRequest request = CreateRequest();
  WireWriter options;
  options.Uint(9, 1);  // containerd.runc.v1.Options.systemd_cgroup
  request.mutable_options()->set_type_url("containerd.runc.v1.Options");
  request.mutable_options()->set_value(options.bytes());
  const absl::Status refused = Create(request);
  EXPECT_THAT(std::string(refused.message()),
              testing::HasSubstr("options.systemd_cgroup: expected cgroupsPath to be of format "
                                 "\"slice:prefix:name\" for systemd cgroups, got \"/gantry-test/"));
}

}  // namespace
}  // namespace gantry::shim
