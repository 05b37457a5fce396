// The shim from end to end: forked by the zygote, driven over ttrpc, with real containers.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "absl/time/clock.h"
#include "base/event_loop.h"
#include "base/file.h"
#include "base/json.h"
#include "base/temp_dir.h"
#include "base/wire.h"
#include "proto/containerd/events/task.pb.h"
#include "proto/containerd/task/v2/shim.pb.h"
#include "runtime/zygote/zygote_client.h"
#include "ttrpc/client.h"
#include "ttrpc/server.h"

namespace gantry::shim {
namespace {

namespace task = ::containerd::task::v2;

class ShimTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/bin/busybox", X_OK) != 0) GTEST_SKIP() << "needs a static /bin/busybox";
    id_ = "shimtest-" + std::filesystem::path(dir_->path()).filename().string().substr(5);
    const std::string bin = dir_->path() + "/rootfs/bin";
    ASSERT_TRUE(MakeDirectories(bin).ok());
    for (const char* sub : {"proc", "dev", "tmp", "etc"}) {
      ASSERT_TRUE(MakeDirectories(dir_->path() + "/rootfs/" + sub).ok());
    }
    std::filesystem::copy_file("/bin/busybox", bin + "/busybox");
    for (const char* applet : {"sh", "cat", "sleep", "echo", "true"}) {
      ASSERT_EQ(::symlink("busybox", (bin + "/" + applet).c_str()), 0);
    }
    daemon_ = std::make_unique<ttrpc::Server>(*loop_);
    ASSERT_TRUE(daemon_->Serve(Listen("events")).ok());
    daemon_->Register("containerd.services.events.ttrpc.v1.Events", "Forward",
                      [this](ttrpc::Call call, ttrpc::Reply reply) {
                        WireReader outer(call.payload);
                        outer.Next();
                        WireReader envelope(outer.bytes());
                        while (envelope.Next()) {
                          if (envelope.field() == 3) topics_.push_back(envelope.str());
                        }
                        reply(std::string());
                      });
    const UniqueFd listener = Listen("shim");
    absl::StatusOr<runtime::ForkedShim> shim = zygote_->Fork(
        {"testing", id_, dir_->path(), dir_->path() + "/events", false, listener.get()});
    ASSERT_TRUE(shim.ok()) << shim.status();
    shim_ = *std::move(shim);
    client_ = *ttrpc::Client::Connect(*loop_, dir_->path() + "/shim");
  }

  void TearDown() override {
    if (!shim_.pidfd.valid()) return;
    if (init_pidfd_.valid()) {
      // Through the shim, so that the cgroup goes too; NotFound if the test has deleted it.
      Kill(SIGKILL).IgnoreError();
      Call("Wait", For<task::WaitRequest>("")).status().IgnoreError();
      Delete().IgnoreError();
    }
    ::syscall(SYS_pidfd_send_signal, shim_.pidfd.get(), SIGKILL, nullptr, 0);
  }

  UniqueFd Listen(const std::string& name) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (dir_->path() + "/" + name).copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 16), 0);
    return fd;
  }

  static Json ProcessJson(const std::vector<std::string>& args) {
    return {
        {"user", {{"uid", 0}, {"gid", 0}}}, {"args", args}, {"env", {"PATH=/bin"}}, {"cwd", "/"}};
  }

  void WriteSpec(const std::vector<std::string>& args) {
    const Json spec = {
        {"ociVersion", "1.0.2"},
        {"process", ProcessJson(args)},
        {"root", {{"path", "rootfs"}}},
        {"hostname", "box"},
        {"mounts",
         {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
          {{"destination", "/dev"}, {"type", "tmpfs"}, {"source", "tmpfs"}},
          {{"destination", "/dev/pts"},
           {"type", "devpts"},
           {"source", "devpts"},
           {"options", {"newinstance", "ptmxmode=0666", "mode=0620"}}}}},
        {"linux",
         {{"cgroupsPath", "/gantry-test/" + id_},
          {"namespaces", {{{"type", "pid"}}, {{"type", "mount"}}, {{"type", "uts"}}}}}}};
    ASSERT_TRUE(WriteFileAtomic(dir_->path() + "/config.json", DumpJson(spec), 0600,
                                Durability::kNotDurable)
                    .ok());
  }

  std::string MakeFifo(const std::string& name) {
    const std::string path = dir_->path() + "/" + name;
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    return path;
  }

  void Until(const std::function<bool()>& condition) {
    const absl::Time limit = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < limit) loop_->RunOnce(absl::Milliseconds(20));
    EXPECT_TRUE(condition());
  }

  std::string ReadToEnd(int fd) {
    std::string got;
    Until([&] {
      char buffer[4096];
      const ssize_t n = ::read(fd, buffer, sizeof buffer);
      if (n > 0) got.append(buffer, static_cast<size_t>(n));
      return n == 0;
    });
    return got;
  }

  template <typename Request>
  void CallLater(const std::string& method, const Request& request,
                 std::optional<absl::StatusOr<std::string>>* result) {
    client_->CallMethod("containerd.task.v2.Task", method, request.SerializeAsString(),
                        {.timeout = absl::Seconds(20)},
                        [result](absl::StatusOr<std::string> r) { *result = std::move(r); });
  }

  template <typename Request>
  absl::StatusOr<std::string> Call(const std::string& method, const Request& request) {
    std::optional<absl::StatusOr<std::string>> result;
    CallLater(method, request, &result);
    Until([&] { return result.has_value(); });
    return *result;
  }

  template <typename Request>
  Request For(const std::string& exec_id) {
    Request request;
    request.set_id(id_);
    request.set_exec_id(exec_id);
    return request;
  }

  task::CreateTaskRequest CreateRequest() {
    task::CreateTaskRequest request;
    request.set_id(id_);
    request.set_bundle(dir_->path());
    return request;
  }

  absl::Status Create(const task::CreateTaskRequest& request) {
    const absl::StatusOr<std::string> answer = Call("Create", request);
    if (!answer.ok()) return answer.status();
    task::CreateTaskResponse response;
    response.ParseFromString(*answer);
    init_pidfd_.reset(static_cast<int>(::syscall(SYS_pidfd_open, response.pid(), 0)));
    return absl::OkStatus();
  }

  absl::Status Start(const std::string& exec_id = "") {
    return Call("Start", For<task::StartRequest>(exec_id)).status();
  }

  uint32_t Wait(const std::string& exec_id = "") {
    const absl::StatusOr<std::string> answer = Call("Wait", For<task::WaitRequest>(exec_id));
    EXPECT_TRUE(answer.ok()) << answer.status();
    task::WaitResponse response;
    if (answer.ok()) response.ParseFromString(*answer);
    return response.exit_status();
  }

  absl::Status Kill(uint32_t signal, const std::string& exec_id = "") {
    task::KillRequest request = For<task::KillRequest>(exec_id);
    request.set_signal(signal);
    return Call("Kill", request).status();
  }

  absl::Status Delete(const std::string& exec_id = "") {
    return Call("Delete", For<task::DeleteRequest>(exec_id)).status();
  }

  task::ExecProcessRequest ExecRequest(const std::string& exec_id,
                                       const std::vector<std::string>& args) {
    task::ExecProcessRequest request = For<task::ExecProcessRequest>(exec_id);
    request.mutable_spec()->set_type_url(
        "types.containerd.io/opencontainers/runtime-spec/1/Process");
    request.mutable_spec()->set_value(DumpJson(ProcessJson(args)));
    return request;
  }

  absl::StatusOr<TempDir> dir_ = TempDir::Create("shim-");
  std::unique_ptr<EventLoop> loop_ = *EventLoop::Create();
  std::unique_ptr<runtime::ZygoteClient> zygote_ =
      *runtime::ZygoteClient::Start(GANTRY_SHIM_BINARY);
  std::unique_ptr<ttrpc::Server> daemon_;
  std::vector<std::string> topics_;
  std::string id_;
  runtime::ForkedShim shim_;
  UniqueFd init_pidfd_;
  std::shared_ptr<ttrpc::Client> client_;
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
  ASSERT_EQ(Start(), absl::OkStatus());
  EXPECT_EQ(Wait(), 7u);
  EXPECT_EQ(Kill(SIGTERM), absl::NotFoundError("process already finished"));
  EXPECT_EQ(Start().code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_EQ(ReadToEnd(out.get()), "out\n");
  EXPECT_EQ(ReadToEnd(err.get()), "err\n");
  EXPECT_THAT(topics_, testing::ElementsAre("/tasks/create", "/tasks/start", "/tasks/exit",
                                            "/tasks/delete"));
  EXPECT_EQ(Delete().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(Call("Shutdown", task::ShutdownRequest()).ok());
  pollfd gone{shim_.pidfd.get(), POLLIN, 0};
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
  ASSERT_EQ(Start(), absl::OkStatus());
  ASSERT_EQ(::write(in.get(), "a line\n", 7), 7);
  task::CloseIORequest close = For<task::CloseIORequest>("");
  close.set_stdin(true);
  ASSERT_TRUE(Call("CloseIO", close).ok());
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_EQ(ReadToEnd(out.get()), "a line\n");
}

TEST_F(ShimTest, AKilledContainerExitsWith128AndTheSignal) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(Start(), absl::OkStatus());
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
  ASSERT_EQ(Start(), absl::OkStatus());
  task::ExecProcessRequest exec = ExecRequest("e1", {"sh", "-c", "cat /proc/1/comm; exit 3"});
  exec.set_stdout(MakeFifo("e1-out"));
  const UniqueFd out = *OpenFile(exec.stdout(), O_RDONLY | O_NONBLOCK);
  ASSERT_TRUE(Call("Exec", exec).ok());
  EXPECT_EQ(Call("Exec", exec).status().code(), absl::StatusCode::kAlreadyExists);
  ASSERT_EQ(Start("e1"), absl::OkStatus());
  EXPECT_EQ(Wait("e1"), 3u);
  ASSERT_EQ(Delete("e1"), absl::OkStatus());
  EXPECT_EQ(ReadToEnd(out.get()), "sleep\n");
  EXPECT_EQ(Kill(SIGTERM, "none").code(), absl::StatusCode::kNotFound);
}

TEST_F(ShimTest, AnExecWhoseChildHoldsTheOutputOpenCanBeDeleted) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(Start(), absl::OkStatus());
  task::ExecProcessRequest exec = ExecRequest("bg", {"sh", "-c", "sleep 900 & echo started"});
  exec.set_stdout(MakeFifo("bg-out"));
  const UniqueFd out = *OpenFile(exec.stdout(), O_RDONLY | O_NONBLOCK);
  ASSERT_TRUE(Call("Exec", exec).ok());
  ASSERT_EQ(Start("bg"), absl::OkStatus());
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
  ASSERT_EQ(Start(), absl::OkStatus());
  ASSERT_TRUE(Call("Exec", ExecRequest("e", {"/no/such"})).ok());
  const absl::Status failed = Start("e");
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
  ASSERT_EQ(Start(), absl::OkStatus());
  task::ResizePtyRequest resize = For<task::ResizePtyRequest>("");
  resize.set_width(100);
  resize.set_height(40);
  EXPECT_TRUE(Call("ResizePty", resize).ok());
  ASSERT_EQ(::write(in.get(), "word\n", 5), 5);
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_THAT(ReadToEnd(out.get()), testing::HasSubstr("got word\r\n"));
}

TEST_F(ShimTest, ACreatedContainerThatWasNeverStartedCanBeDeleted) {
  WriteSpec({"true"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  EXPECT_EQ(Delete(), absl::OkStatus());
}

}  // namespace
}  // namespace gantry::shim
