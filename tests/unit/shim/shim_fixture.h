#ifndef GANTRY_TESTS_UNIT_SHIM_SHIM_FIXTURE_H_
#define GANTRY_TESTS_UNIT_SHIM_SHIM_FIXTURE_H_

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
#include "ttrpc/client.h"
#include "ttrpc/server.h"

namespace gantry::shim {

namespace task = ::containerd::task::v2;

// A root of busybox, a bundle beside it, a daemon that takes events, and calls of the Task API to a
// shim whose start is the test's.
class ShimFixture : public testing::Test {
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
                          if (envelope.field() == 4) RecordExit(envelope.bytes());
                        }
                        reply(std::string());
                      });
    StartShim();
  }

  // Sets client_, and pidfd_ of the shim's process.
  virtual void StartShim() = 0;

  void TearDown() override {
    if (!pidfd_.valid()) return;
    if (init_pidfd_.valid()) {
      // Through the shim, so that the cgroup goes too; NotFound if the test has deleted it.
      Kill(SIGKILL).IgnoreError();
      Call("Wait", For<task::WaitRequest>("")).status().IgnoreError();
      Delete().IgnoreError();
    }
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  }

  void RecordExit(absl::string_view any) {
    if (topics_.back() != "/tasks/exit") return;
    WireReader reader(any);
    while (reader.Next()) {
      containerd::events::TaskExit exit;
      if (reader.field() == 2 && exit.ParseFromString(reader.str())) exits_.push_back(exit.id());
    }
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

  absl::Status StartTask(const std::string& exec_id = "") {
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
  std::unique_ptr<ttrpc::Server> daemon_;
  std::vector<std::string> topics_;
  std::vector<std::string> exits_;  // ids, in the order in which they were told
  std::string id_;
  UniqueFd pidfd_;
  UniqueFd init_pidfd_;
  std::shared_ptr<ttrpc::Client> client_;
};

}  // namespace gantry::shim

#endif  // GANTRY_TESTS_UNIT_SHIM_SHIM_FIXTURE_H_
