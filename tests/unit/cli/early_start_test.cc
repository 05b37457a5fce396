#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/temp_dir.h"

namespace gantry::cli {
namespace {

constexpr int kSyscallStop = SIGTRAP | 0x80;

struct Traced {
  int executions = 0;         // of programs, the first one among them
  int calls_before_next = 0;  // system calls of the first execution until there was another
};

// Runs `gantry-oci COMMAND`, which fails for want of arguments, and looks at how it gets there.
Traced Trace(const std::string& program, const char* command) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::dup2(::open("/dev/null", O_WRONLY), 1);
    ::dup2(1, 2);
    ::execl(program.c_str(), program.c_str(), "--root", "/nonexistent", command, nullptr);
    ::_exit(127);
  }
  Traced traced;
  int status = 0;
  ::waitpid(pid, &status, 0);
  ::ptrace(PTRACE_SETOPTIONS, pid, nullptr,
           PTRACE_O_TRACEEXEC | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  int stops = 0;
  for (;;) {
    ::ptrace(PTRACE_SYSCALL, pid, nullptr, nullptr);
    if (::waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) break;
    if (status >> 8 == (SIGTRAP | (PTRACE_EVENT_EXEC << 8))) {
      ++traced.executions;
      if (traced.executions == 2) traced.calls_before_next = stops / 2;
    } else if (traced.executions == 1 && WSTOPSIG(status) == kSyscallStop) {
      ++stops;
    }
  }
  return traced;
}

class EarlyStartTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_TRUE(dir_.ok()) << dir_.status();
    program_ = dir_->path() + "/gantry-oci";
    const absl::StatusOr<std::string> bytes = ReadFile(GANTRY_OCI, 64 << 20);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    ASSERT_EQ(WriteFileAtomic(program_, *bytes, 0755, Durability::kNotDurable), absl::OkStatus());
  }
  absl::StatusOr<TempDir> dir_ = TempDir::Create("early-start");
  std::string program_;
};

TEST_F(EarlyStartTest, TheSecondExecutionComesBeforeTheLibraryIsSetUp) {
  for (const char* command : {"create", "run", "exec"}) {
    const Traced traced = Trace(program_, command);
    EXPECT_EQ(traced.executions, 2) << command;
    // To look whether it is needed, to make the mount, to execute. The library alone needs more.
    EXPECT_LE(traced.calls_before_next, 7) << command;
  }
}

TEST_F(EarlyStartTest, OtherCommandsAreExecutedOnce) {
  for (const char* command : {"state", "start", "delete"}) {
    EXPECT_EQ(Trace(program_, command).executions, 1) << command;
  }
}

}  // namespace
}  // namespace gantry::cli
