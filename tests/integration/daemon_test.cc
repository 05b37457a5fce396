// gantryd as a process: its start, its end, and what every service of it has in common.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/path.h"
#include "proto/containerd/services/containers/v1/containers.grpc.pb.h"
#include "proto/containerd/services/introspection/v1/introspection.grpc.pb.h"
#include "proto/containerd/services/mounts/v1/mounts.grpc.pb.h"
#include "proto/containerd/services/transfer/v1/transfer.grpc.pb.h"
#include "proto/containerd/services/version/v1/version.grpc.pb.h"
#include "tests/support/daemon_process.h"

namespace gantry::test {
namespace {

using testing::HasSubstr;

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = DaemonProcess::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
  }

  grpc::Status Version() {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    containerd::services::version::v1::VersionResponse response;
    return containerd::services::version::v1::Version::NewStub(daemon_->Channel())
        ->Version(&context, {}, &response);
  }

  std::unique_ptr<DaemonProcess> daemon_;
};

// Processes whose command line or environment of file names lies below `directory`.
std::vector<std::string> ProcessesNaming(const std::string& directory) {
  std::vector<std::string> found;
  for (const std::string& pid : ListDirectory("/proc").value_or(std::vector<std::string>())) {
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string line = ReadFile("/proc/" + pid + "/cmdline").value_or("");
    if (line.find(directory) != std::string::npos) found.push_back(pid + " " + line);
  }
  return found;
}

std::vector<std::string> ChildrenOf(pid_t parent) {
  std::vector<std::string> children;
  for (const std::string& pid : ListDirectory("/proc").value_or(std::vector<std::string>())) {
    const std::string stat = ReadFile("/proc/" + pid + "/stat").value_or("");
    const size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos) continue;
    const std::vector<std::string> fields = absl::StrSplit(stat.substr(name_end + 2), ' ');
    if (fields.size() > 1 && fields[1] == std::to_string(parent)) children.push_back(pid);
  }
  return children;
}

TEST_F(DaemonTest, ItAnswersAndTellsItsVersion) {
  const grpc::Status status = Version();
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST_F(DaemonTest, TheSocketIsForItsOwnerAndGroupOnly) {
  struct stat info;
  ASSERT_EQ(::stat(daemon_->address().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
  EXPECT_EQ(info.st_uid, 0u);
  ASSERT_EQ(::stat((daemon_->address() + ".ttrpc").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0660u);
}

TEST_F(DaemonTest, ASecondDaemonOnTheSameRootIsRefusedAndNamesThePid) {
  const auto second =
      DaemonProcess::Run({"--root", daemon_->root(), "--state", daemon_->directory() + "/other",
                          "--address", daemon_->directory() + "/other.sock"});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->exit_code, 1);
  EXPECT_THAT(second->log, HasSubstr(absl::StrCat("another gantryd (pid ", daemon_->pid(), ")")));
  EXPECT_TRUE(Version().ok());
}

TEST_F(DaemonTest, ASocketThatAnswersIsNotTakenOver) {
  const auto second =
      DaemonProcess::Run({"--root", daemon_->directory() + "/r2", "--state",
                          daemon_->directory() + "/s2", "--address", daemon_->address()});
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->exit_code, 1);
  EXPECT_THAT(second->log, HasSubstr("another process answers there"));
  EXPECT_TRUE(Version().ok());
}

TEST_F(DaemonTest, SigtermEndsItCleanly) {
  ASSERT_TRUE(Version().ok());
  const std::vector<std::string> children = ChildrenOf(daemon_->pid());
  EXPECT_FALSE(children.empty()) << "the zygote is a child";
  daemon_->Signal(SIGTERM);
  const auto ended = daemon_->Wait();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 0) << ended->log;
  EXPECT_NE(::access(daemon_->address().c_str(), F_OK), 0) << "the socket is gone";
  EXPECT_THAT(ProcessesNaming(daemon_->directory()), testing::IsEmpty());
  for (const std::string& child : children) {
    EXPECT_NE(::access(("/proc/" + child).c_str(), F_OK), 0) << "child " << child << " is left";
  }
  EXPECT_THAT(ReadFile("/proc/self/mountinfo").value_or(""),
              testing::Not(HasSubstr(daemon_->directory())));
}

TEST_F(DaemonTest, AfterAKillItStartsAgainOnWhatWasLeft) {
  namespace pb = containerd::services::introspection::v1;
  const auto uuid = [this] {
    grpc::ClientContext context;
    pb::ServerResponse response;
    const grpc::Status status =
        pb::Introspection::NewStub(daemon_->Channel())->Server(&context, {}, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.uuid();
  };
  const std::string before = uuid();
  EXPECT_EQ(before.size(), 36u);
  daemon_->Signal(SIGKILL);
  ASSERT_TRUE(daemon_->Wait().ok());
  EXPECT_EQ(::access(daemon_->address().c_str(), F_OK), 0) << "a stale socket is left";
  const absl::Status restarted = daemon_->Restart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  EXPECT_EQ(uuid(), before);
}

// How often each thread of `pid` has gone to sleep so far, by name and number.
std::map<std::string, long> SleepsOf(pid_t pid) {
  std::map<std::string, long> sleeps;
  const std::string tasks = absl::StrCat("/proc/", pid, "/task");
  for (const std::string& thread : ListDirectory(tasks).value_or(std::vector<std::string>())) {
    std::string name;
    const std::string status = ReadFile(absl::StrCat(tasks, "/", thread, "/status")).value_or("");
    for (const absl::string_view line : absl::StrSplit(status, '\n')) {
      const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(line, '\t');
      if (field.first == "Name:") name = std::string(field.second);
      if (field.first == "voluntary_ctxt_switches:") {
        EXPECT_TRUE(absl::SimpleAtoi(field.second, &sleeps[absl::StrCat(name, " ", thread)]));
      }
    }
  }
  return sleeps;
}

TEST_F(DaemonTest, AnIdleDaemonIsNotWokenButByTheTimersOfGrpc) {
  ASSERT_TRUE(Version().ok());
  // Whatever else the machine does, a thread that looks for work on its own is never still this
  // long.
  constexpr absl::Duration kStill = absl::Seconds(12);
  const absl::Time limit = absl::Now() + absl::Minutes(2);
  std::vector<std::string> woken;
  do {
    const std::map<std::string, long> before = SleepsOf(daemon_->pid());
    ASSERT_FALSE(before.empty());
    absl::SleepFor(kStill);
    woken.clear();
    for (const auto& [thread, sleeps] : SleepsOf(daemon_->pid())) {
      const auto found = before.find(thread);
      const bool timer =
          absl::StartsWith(thread, "grpc_global_tim") || absl::StartsWith(thread, "timer_manager");
      if (!timer && (found == before.end() || found->second != sleeps)) woken.push_back(thread);
    }
  } while (!woken.empty() && absl::Now() < limit);
  EXPECT_THAT(woken, testing::IsEmpty());
}

TEST_F(DaemonTest, ARequestWithoutANamespaceIsRefused) {
  namespace pb = containerd::services::containers::v1;
  grpc::ClientContext context;
  pb::ListContainersResponse response;
  const grpc::Status status =
      pb::Containers::NewStub(daemon_->Channel())->List(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("namespace is required"));
}

TEST_F(DaemonTest, AMessageOverTheLimitIsRefused) {
  namespace pb = containerd::services::containers::v1;
  grpc::ClientContext context;
  context.AddMetadata("containerd-namespace", "default");
  pb::GetContainerRequest request;
  request.set_id(std::string((16 << 20) + 1, 'x'));
  pb::GetContainerResponse response;
  const grpc::Status status =
      pb::Containers::NewStub(daemon_->Channel())->Get(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
}

TEST_F(DaemonTest, ServicesThatAreNotBuiltSaySo) {
  {
    grpc::ClientContext context;
    google::protobuf::Empty empty;
    const grpc::Status status =
        containerd::services::transfer::v1::Transfer::NewStub(daemon_->Channel())
            ->Transfer(&context, {}, &empty);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
    EXPECT_THAT(status.error_message(), HasSubstr("containerd.services.transfer.v1.Transfer"));
  }
  grpc::ClientContext context;
  auto list =
      containerd::services::mounts::v1::Mounts::NewStub(daemon_->Channel())->List(&context, {});
  containerd::services::mounts::v1::ListMessage message;
  EXPECT_FALSE(list->Read(&message));
  EXPECT_EQ(list->Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(DaemonTest, ThePluginsAreThoseThatClientsLookFor) {
  namespace pb = containerd::services::introspection::v1;
  grpc::ClientContext context;
  pb::PluginsRequest request;
  request.add_filters("type==io.containerd.snapshotter.v1, id==overlayfs");
  pb::PluginsResponse response;
  const grpc::Status status =
      pb::Introspection::NewStub(daemon_->Channel())->Plugins(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.plugins_size(), 1);
  ASSERT_EQ(response.plugins(0).platforms_size(), 1);
  EXPECT_EQ(response.plugins(0).platforms(0).os(), "linux");
  EXPECT_FALSE(response.plugins(0).has_init_err());
}

TEST(DaemonStartTest, ABadConfigurationIsRefusedWithFileLineAndKey) {
  auto directory = TempDir::Create("gantryd-");
  ASSERT_TRUE(directory.ok());
  const std::string file = directory->path() + "/c.toml";
  ASSERT_TRUE(WriteFileAtomic(file, "version = 3\nroot = 1\n", 0600, Durability::kNotDurable).ok());
  const auto ended = DaemonProcess::Run({"--config", file});
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 1);
  EXPECT_THAT(ended->log, HasSubstr(file + ":2: root: is an integer, must be a string"));
}

TEST(DaemonStartTest, AMissingConfigurationThatWasNamedIsRefused) {
  const auto ended = DaemonProcess::Run({"--config", "/no/such/file.toml"});
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 1);
  EXPECT_THAT(ended->log, HasSubstr("/no/such/file.toml"));
}

TEST(DaemonStartTest, TheDefaultConfigurationIsPrintedAndTheVersionToo) {
  const auto config = DaemonProcess::Run({"config", "default"});
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->exit_code, 0);
  EXPECT_THAT(config->log, HasSubstr("address = \"/run/gantry/gantry.sock\""));
  const auto version = DaemonProcess::Run({"--version"});
  ASSERT_TRUE(version.ok()) << version.status();
  EXPECT_EQ(version->exit_code, 0);
  EXPECT_THAT(version->log, HasSubstr("gantryd 0."));
}

}  // namespace
}  // namespace gantry::test
