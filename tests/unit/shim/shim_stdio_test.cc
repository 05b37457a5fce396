// Standard streams of a container: loggers, files, terminals, and clients that come and go.

#include "absl/strings/escaping.h"
#include "runtime/zygote/zygote_client.h"
#include "shim/logger.h"
#include "tests/unit/shim/shim_fixture.h"

namespace gantry::shim {
namespace {

class ShimStdioTest : public ShimFixture {
 protected:
  void StartShim() override {
    const UniqueFd listener = Listen("shim");
    absl::StatusOr<runtime::ForkedShim> shim = zygote_->Fork(
        {"testing", id_, dir_->path(), dir_->path() + "/events", false, listener.get()});
    ASSERT_TRUE(shim.ok()) << shim.status();
    pidfd_ = std::move(shim->pidfd);
    client_ = *ttrpc::Client::Connect(*loop_, dir_->path() + "/shim");
  }

  // A logger that runs `script` in a shell.
  static std::string LoggerOf(const std::string& script) {
    std::string escaped;
    for (const char c : script) absl::StrAppend(&escaped, "%", absl::BytesToHexString({&c, 1}));
    return "binary:///bin/sh?-c=" + escaped;
  }

  std::string Read(const std::string& name) {
    return ReadFile(dir_->path() + "/" + name).value_or("");
  }

  std::unique_ptr<runtime::ZygoteClient> zygote_ =
      *runtime::ZygoteClient::Start(GANTRY_SHIM_BINARY);
};

TEST(LoggerUriTest, KeysAndValuesBecomeArgumentsInOrder) {
  const auto command = ParseLoggerUri("binary:///usr/bin/log%20ger?b=1&a&c=x%3Dy+z&d=");
  ASSERT_TRUE(command.ok()) << command.status();
  EXPECT_EQ(command->path, "/usr/bin/log ger");
  EXPECT_THAT(command->arguments, testing::ElementsAre("b", "1", "a", "c", "x=y z", "d"));
}

TEST(LoggerUriTest, WhatIsNoAbsolutePathOrABrokenEscapeIsRefused) {
  for (const char* uri : {"binary://relative", "binary://", "binary:///a%2", "binary:///a%zz",
                          "binary:///a%00b", "binary:///a?k=%"}) {
    const auto command = ParseLoggerUri(uri);
    EXPECT_EQ(command.status().code(), absl::StatusCode::kInvalidArgument) << uri;
    EXPECT_THAT(std::string(command.status().message()), testing::HasSubstr(uri));
  }
}

TEST_F(ShimStdioTest, ALoggerGetsBothOutputsItsNamesAndTheEnd) {
  WriteSpec({"sh", "-c", "echo out; echo err >&2"});
  task::CreateTaskRequest request = CreateRequest();
  const std::string d = dir_->path();
  request.set_stdout(LoggerOf("echo $CONTAINER_NAMESPACE $CONTAINER_ID > " + d +
                              "/names; exec 5>&-; cat <&4 >" + d + "/err & cat <&3 >" + d +
                              "/out; wait; echo end >" + d + "/end"));
  request.set_stderr(request.stdout());
  ASSERT_EQ(Create(request), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_EQ(Read("names"), "testing " + id_ + "\n");
  EXPECT_EQ(Read("out"), "out\n");
  EXPECT_EQ(Read("err"), "err\n");
  EXPECT_EQ(Read("end"), "end\n") << "Delete waits for the logger";
}

TEST_F(ShimStdioTest, ATerminalsOutputGoesToALoggerToo) {
  WriteSpec({"sh", "-c", "cat /proc/self/stat > /dev/null; echo on a terminal"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_terminal(true);
  request.set_stdout(LoggerOf("exec 5>&-; cat <&3 >" + dir_->path() + "/out"));
  ASSERT_EQ(Create(request), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_EQ(Read("out"), "on a terminal\r\n");
}

TEST_F(ShimStdioTest, AContainerWaitsUntilItsLoggerIsReadyAndTheShimDoesNot) {
  WriteSpec({"true"});
  task::CreateTaskRequest request = CreateRequest();
  const std::string gate = MakeFifo("gate");
  request.set_stdout(LoggerOf("read x <" + gate + "; echo ready >&5; cat <&3"));
  std::optional<absl::StatusOr<std::string>> created;
  CallLater("Create", request, &created);
  EXPECT_EQ(Call("State", For<task::StateRequest>("")).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(Call("Connect", task::ConnectRequest()).ok());
  EXPECT_FALSE(created.has_value());
  const UniqueFd open = *OpenFile(gate, O_WRONLY);
  ASSERT_EQ(::write(open.get(), "go\n", 3), 3);
  Until([&] { return created.has_value(); });
  ASSERT_TRUE(created->ok()) << created->status();
  EXPECT_EQ(Delete(), absl::OkStatus());
}

TEST_F(ShimStdioTest, AMissingLoggerIsNamedAndLeavesNothing) {
  WriteSpec({"true"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_stdout("binary:///no/such/logger");
  const absl::Status failed = Create(request);
  EXPECT_THAT(std::string(failed.message()), testing::HasSubstr("start logger /no/such/logger"));
  EXPECT_EQ(Call("State", For<task::StateRequest>("")).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_TRUE(Call("Shutdown", task::ShutdownRequest()).ok());
}

TEST_F(ShimStdioTest, AnExecHasALoggerOfItsOwn) {
  WriteSpec({"sleep", "1000"});
  ASSERT_EQ(Create(CreateRequest()), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  task::ExecProcessRequest exec = ExecRequest("e1", {"echo", "from exec"});
  exec.set_stdout(LoggerOf("exec 5>&-; cat <&3 >" + dir_->path() + "/$CONTAINER_ID"));
  ASSERT_TRUE(Call("Exec", exec).ok());
  ASSERT_EQ(StartTask("e1"), absl::OkStatus());
  EXPECT_EQ(Wait("e1"), 0u);
  ASSERT_EQ(Delete("e1"), absl::OkStatus());
  EXPECT_EQ(Read("e1"), "from exec\n");
}

TEST_F(ShimStdioTest, AFileIsAppendedToAndItsDirectoriesAreMade) {
  WriteSpec({"sh", "-c", "echo one; echo two >&2"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_stdout("file://" + dir_->path() + "/logs/deep/out");
  request.set_stderr("file://" + dir_->path() + "/logs/deep/err");
  ASSERT_TRUE(MakeDirectories(dir_->path() + "/logs/deep").ok());
  ASSERT_TRUE(
      WriteFileAtomic(dir_->path() + "/logs/deep/out", "zero\n", 0644, Durability::kNotDurable)
          .ok());
  ASSERT_EQ(Create(request), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_EQ(Read("logs/deep/out"), "zero\none\n");
  EXPECT_EQ(Read("logs/deep/err"), "two\n");
}

TEST_F(ShimStdioTest, AnUnknownSchemeIsRefusedByName) {
  WriteSpec({"true"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_stdout("gopher://x");
  EXPECT_THAT(std::string(Create(request).message()), testing::HasSubstr("scheme \"gopher\""));
}

TEST_F(ShimStdioTest, AReaderThatLeavesAndComesBackGetsTheRest) {
  WriteSpec({"sh", "-c", "echo first; read x; echo second; read x"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_stdin("fifo://" + MakeFifo("in"));
  request.set_stdout(MakeFifo("out"));
  ASSERT_EQ(Create(request), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  const UniqueFd in = *OpenFile(dir_->path() + "/in", O_WRONLY);
  const auto read_line = [this](const UniqueFd& out) {
    std::string got;
    Until([&] {
      char c;
      while (::read(out.get(), &c, 1) == 1) got.push_back(c);
      return !got.empty() && got.back() == '\n';
    });
    return got;
  };
  {
    const UniqueFd early = *OpenFile(request.stdout(), O_RDONLY | O_NONBLOCK);
    EXPECT_EQ(read_line(early), "first\n");
  }
  ASSERT_EQ(::write(in.get(), "\n", 1), 1);
  const UniqueFd late = *OpenFile(request.stdout(), O_RDONLY | O_NONBLOCK);
  EXPECT_EQ(read_line(late), "second\n");
  ASSERT_EQ(::write(in.get(), "\n", 1), 1);
  EXPECT_EQ(Wait(), 0u);
  EXPECT_EQ(Delete(), absl::OkStatus());
}

TEST_F(ShimStdioTest, AnExitIsToldAlthoughNobodyReadsTheOutput) {
  WriteSpec({"sh", "-c", "echo unread; exit 3"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_stdout(MakeFifo("out"));
  ASSERT_EQ(Create(request), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  EXPECT_EQ(Wait(), 3u);
  EXPECT_EQ(Delete(), absl::OkStatus());
}

TEST_F(ShimStdioTest, AWriterOfATerminalsInputMayComeBack) {
  WriteSpec({"sh", "-c", "read a; read b; echo got $a $b"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_terminal(true);
  request.set_stdin(MakeFifo("in"));
  request.set_stdout(MakeFifo("out"));
  const UniqueFd out = *OpenFile(request.stdout(), O_RDONLY | O_NONBLOCK);
  ASSERT_EQ(Create(request), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  for (const char* line : {"one\n", "two\n"}) {
    const UniqueFd in = *OpenFile(request.stdin(), O_WRONLY);
    ASSERT_EQ(::write(in.get(), line, 4), 4);
  }
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_THAT(ReadToEnd(out.get()), testing::HasSubstr("got one two\r\n"));
}

TEST_F(ShimStdioTest, PipesBelongToTheUserThatTheOptionsName) {
  WriteSpec({"sh", "-c", "echo again >/proc/self/fd/1"});
  task::CreateTaskRequest request = CreateRequest();
  request.set_stdout(MakeFifo("out"));
  // containerd.runc.v1.Options{io_uid: 1234, io_gid: 1234}
  WireWriter options;
  options.Uint(4, 1234);
  options.Uint(5, 1234);
  request.mutable_options()->set_type_url("containerd.runc.v1.Options");
  request.mutable_options()->set_value(options.bytes());
  Json spec = *ParseJson(Read("config.json"), "spec");
  spec["process"]["user"] = {{"uid", 1234}, {"gid", 1234}};
  ASSERT_TRUE(
      WriteFileAtomic(dir_->path() + "/config.json", DumpJson(spec), 0600, Durability::kNotDurable)
          .ok());
  const UniqueFd out = *OpenFile(request.stdout(), O_RDONLY | O_NONBLOCK);
  ASSERT_EQ(Create(request), absl::OkStatus());
  ASSERT_EQ(StartTask(), absl::OkStatus());
  EXPECT_EQ(Wait(), 0u);
  ASSERT_EQ(Delete(), absl::OkStatus());
  EXPECT_EQ(ReadToEnd(out.get()), "again\n");
}

}  // namespace
}  // namespace gantry::shim
