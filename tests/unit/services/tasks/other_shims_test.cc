// What gantryd needs to run the shims of others: their names, their programs, their answers.
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "absl/time/clock.h"
#include "base/wire.h"
#include "services/tasks/run_program.h"
#include "services/tasks/shim_answer.h"
#include "services/tasks/shim_router.h"
#include "tests/unit/services/tasks/fixture.h"

namespace gantry::tasks {
namespace {

using testing::HasSubstr;

class RuntimeNamesTest : public testing::Test {
 protected:
  void Install(const std::string& name) {
    ASSERT_TRUE(WriteFileAtomic(dir_.path() + "/" + name, "", 0755, Durability::kNotDurable).ok());
  }
  std::string Resolve(const std::string& runtime, const Any& options = {}) {
    const absl::StatusOr<std::string> found = names_.Resolve(runtime, options);
    return found.ok() ? *found : std::string(found.status().message());
  }
  static Any RuncOptions(const std::string& binary_name) {
    WireWriter writer;
    writer.Bytes(6, binary_name);
    return {"containerd.runc.v1.Options", writer.Take()};
  }

  TempDir dir_ = *TempDir::Create("runtimes-");
  RuntimeNames names_{.directories = {"/no/such", dir_.path()}};
};

TEST_F(RuntimeNamesTest, TheHardWiredNamesAreGantrysOwn) {
  Install("containerd-shim-runc-v2");
  EXPECT_EQ(Resolve("io.containerd.runc.v2"), "");
  EXPECT_EQ(Resolve("io.containerd.gantry.v1", RuncOptions("runc")), "");
  names_.own = {"io.containerd.gantry.v1"};
  EXPECT_EQ(Resolve("io.containerd.runc.v2"), dir_.path() + "/containerd-shim-runc-v2");
}

TEST_F(RuntimeNamesTest, OtherNamesAndPathsArePrograms) {
  Install("containerd-shim-kata-v2");
  EXPECT_EQ(Resolve("io.containerd.kata.v2"), dir_.path() + "/containerd-shim-kata-v2");
  EXPECT_EQ(Resolve("kata.v2"), dir_.path() + "/containerd-shim-kata-v2");
  EXPECT_EQ(Resolve(dir_.path() + "/containerd-shim-kata-v2"),
            dir_.path() + "/containerd-shim-kata-v2");
  EXPECT_THAT(Resolve("/no/such/shim"), HasSubstr("/no/such/shim: No such file or directory"));
  EXPECT_THAT(Resolve("io.containerd.none.v1"),
              HasSubstr("binary not installed \"containerd-shim-none-v1\""));
}

TEST_F(RuntimeNamesTest, NonsenseIsRefused) {
  for (const char* name : {"", "runc", "a.", ".", "a./etc/passwd"}) {
    EXPECT_EQ(names_.Resolve(name, {}).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
}

TEST_F(RuntimeNamesTest, AnotherOciRuntimeByPathNeedsRuncsShim) {
  EXPECT_THAT(Resolve("io.containerd.runc.v2", RuncOptions("/usr/bin/crun")),
              HasSubstr("which options.binary_name /usr/bin/crun needs"));
  Install("containerd-shim-runc-v2");
  EXPECT_EQ(Resolve("io.containerd.runc.v2", RuncOptions("/usr/bin/crun")),
            dir_.path() + "/containerd-shim-runc-v2");
}

TEST(ShimAnswerTest, APlainAddressIsVersionTwoAndJsonSaysItsOwn) {
  EXPECT_EQ(ParseShimAnswer("unix:///run/s/1\n")->socket, "/run/s/1");
  EXPECT_EQ(ParseShimAnswer("unix:///run/s/1")->version, 2);
  const auto json =
      ParseShimAnswer(R"({"version":3,"address":"unix:///run/s/2","protocol":"ttrpc"})");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->socket, "/run/s/2");
  EXPECT_EQ(json->version, 3);
}

TEST(ShimAnswerTest, WhatIsNotSpokenHereIsRefused) {
  for (const char* text :
       {R"({"version":3,"address":"unix:///a","protocol":"grpc"})",
        R"({"version":4,"address":"unix:///a"})", R"({"address":"unix:///a"})"}) {
    EXPECT_EQ(ParseShimAnswer(text).status().code(), absl::StatusCode::kUnimplemented) << text;
  }
  for (const char* text : {"", "tcp://1.2.3.4:5", "unix://relative", "unix:///a\nunix:///b", "{",
                           "[]", R"({"version":3})", R"({"version":3,"address":7})"}) {
    EXPECT_EQ(ParseShimAnswer(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

Program Shell(const std::string& script) {
  return {.path = "/bin/sh", .arguments = {"-c", script}, .directory = "/"};
}

TEST(RunProgramTest, InputOutputEnvironmentAndDirectoryAreThePrograms) {
  Program program = Shell("cat; echo \" $KEY $PWD\"");
  program.input = "in";
  program.environment = {"KEY=value"};
  program.directory = "/proc";
  EXPECT_EQ(RunProgram(program).value_or("failed"), "in value /proc\n");
}

TEST(RunProgramTest, AFailureIsToldWithWhatTheProgramSaid) {
  const absl::Status failed = RunProgram(Shell("echo because >&2; exit 3")).status();
  EXPECT_EQ(std::string(failed.message()), "/bin/sh ended with status 3: because");
  EXPECT_EQ(std::string(RunProgram(Shell("kill -9 $$")).status().message()),
            "/bin/sh was ended by signal 9");
  EXPECT_TRUE(absl::IsNotFound(
      RunProgram({.path = "/no/such", .arguments = {}, .directory = "/"}).status()));
}

TEST(RunProgramTest, ATimeOutKillsItAndAProcessLeftBehindIsNotWaitedFor) {
  Program slow = Shell("exec sleep 100");
  slow.timeout = absl::Milliseconds(100);
  EXPECT_TRUE(absl::IsDeadlineExceeded(RunProgram(slow).status()));
  const absl::Time before = absl::Now();
  EXPECT_EQ(RunProgram(Shell("sleep 3 & echo done")).value_or("failed"), "done\n");
  EXPECT_LT(absl::Now() - before, absl::Seconds(3));
}

using OtherShimsTest = TaskManagerTest;

TEST_F(OtherShimsTest, TheProgramAndTheOptionsReachTheLauncher) {
  container_.runtime_name = "/bin/sh";
  ASSERT_TRUE(Create("c").ok());
  EXPECT_EQ(launcher_.requested.binary, "/bin/sh");
  EXPECT_EQ(launcher_.requested.options, container_.runtime_options);
  EXPECT_EQ(launcher_.requested.bundle, Bundle("c"));
}

TEST_F(OtherShimsTest, ABundlesAddressTellsItsLauncher) {
  FakeLauncher programs(*loop_);
  ShimRouter router(launcher_, programs);
  const std::string bundle = state_.path() + "/bundle";
  ASSERT_TRUE(MakeDirectories(bundle).ok());
  ASSERT_TRUE(router.Launch({"ns", "c", bundle, "/bin/kata", {}}).ok());
  EXPECT_EQ(programs.requested.binary, "/bin/kata");
  EXPECT_EQ(launcher_.requested.id, "");
  programs.living["c"] = std::make_shared<FakeShim>(*loop_);
  EXPECT_TRUE(absl::IsNotFound(router.Reconnect("ns", "c", bundle).status())) << "no address yet";
  ASSERT_TRUE(
      WriteAddress(bundle, {.socket = "/s", .version = 3, .binary = "/bin/kata", .pid = 0}).ok());
  EXPECT_EQ(ReadAddress(bundle)->version, 3);
  EXPECT_TRUE(router.Reconnect("ns", "c", bundle).ok());
}

}  // namespace
}  // namespace gantry::tasks
