#include "runtime/seccomp/seccomp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"

namespace gantry::runtime {
namespace {

LinuxSeccomp Profile(const std::string& json) {
  const auto profile = SeccompFromJson(*ParseJson(json, "test"));
  EXPECT_TRUE(profile.ok()) << profile.status();
  return *profile;
}

// Runs `body` in a child under `program`; its exit status, or -signal.
template <typename Body>
int Under(const SeccompProgram& program, Body body) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    sock_fprog filter = {static_cast<unsigned short>(program.filter.size()),
                         const_cast<sock_filter*>(program.filter.data())};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &filter) != 0) ::_exit(126);
    ::_exit(body());
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int Errno(long result) { return result < 0 ? errno : 0; }

// The calls that a child needs to say its result.
constexpr char kBasics[] =
    R"({"names": ["exit_group", "exit", "read", "write"], "action": "SCMP_ACT_ALLOW"})";

TEST(SeccompTest, ADeniedCallGivesEpermAndTheRestGoOn) {
  const auto program = CompileSeccomp(Profile(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["getpid", "no_such_call"], "action": "SCMP_ACT_ERRNO"},
      {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71}]})"));
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_getpid)); }), EPERM);
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_getppid)); }), 71);
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_gettid)); }), 0);
}

TEST(SeccompTest, ArgumentsAreCompared) {
  const auto program = CompileSeccomp(Profile(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97,
       "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_EQ"}]},
      {"names": ["personality"], "action": "SCMP_ACT_ERRNO", "args": [
       {"index": 0, "value": 5, "op": "SCMP_CMP_EQ"},
       {"index": 0, "value": 7, "op": "SCMP_CMP_EQ"}]}]})"));
  ASSERT_TRUE(program.ok()) << program.status();
  const auto socket_of = [](int family) {
    return [family] { return Errno(::socket(family, SOCK_STREAM, 0)); };
  };
  EXPECT_EQ(Under(*program, socket_of(40)), 97);
  EXPECT_EQ(Under(*program, socket_of(AF_UNIX)), 0);
  // Two comparisons of one argument are two rules.
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_personality, 7)); }), EPERM);
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_personality, 5)); }), EPERM);
}

TEST(SeccompTest, CallsNewerThanTheProfileGiveEnosysAndKnownOnesItsErrno) {
  const std::string profile = absl::StrCat(
      R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64",
          "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [)",
      kBasics, R"(, {"names": ["close_range"], "action": "SCMP_ACT_ALLOW"}]})");
  const auto program = CompileSeccomp(Profile(profile));
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_close_range + 1)); }), ENOSYS);
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(4000)); }), ENOSYS);
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_getpid)); }), EPERM);
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_close_range, 900, 901, 0)); }), 0);
}

TEST(SeccompTest, AProfileWithItsOwnDefaultErrnoKeepsIt) {
  const std::string profile = absl::StrCat(
      R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [)", kBasics, "]}");
  const auto program = CompileSeccomp(Profile(profile));
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_getpid)); }), ENOSYS);
}

TEST(SeccompTest, KillEndsTheProcess) {
  const auto program = CompileSeccomp(Profile(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["getpid"], "action": "SCMP_ACT_KILL_PROCESS"}]})"));
  ASSERT_TRUE(program.ok()) << program.status();
  EXPECT_EQ(Under(*program, [] { return Errno(::syscall(SYS_getpid)); }), -SIGSYS);
}

TEST(SeccompTest, FlagsBecomeThoseOfTheKernel) {
  const auto flags = [](const char* fields) {
    const auto program =
        CompileSeccomp(Profile(absl::StrCat(R"({"defaultAction": "SCMP_ACT_ALLOW")", fields, "}")));
    EXPECT_TRUE(program.ok()) << program.status();
    return program->flags;
  };
  EXPECT_EQ(flags(""), SECCOMP_FILTER_FLAG_SPEC_ALLOW);
  EXPECT_EQ(flags(R"(, "flags": [])"), 0U);
  EXPECT_EQ(flags(R"(, "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"])"),
            SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_TSYNC);
  EXPECT_EQ(flags(R"(, "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])"), 0U);
  EXPECT_EQ(flags(R"(, "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
      "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}])"),
            SECCOMP_FILTER_FLAG_NEW_LISTENER | (1U << 5));
}

TEST(SeccompTest, WhatIsUnknownIsRefusedByName) {
  struct Case {
    const char* json;
    const char* named;
  };
  const Case cases[] = {
      {R"({"defaultAction": "SCMP_ACT_BOGUS"})", "defaultAction \"SCMP_ACT_BOGUS\""},
      {R"({"defaultAction": "SCMP_ACT_NOTIFY"})", "SCMP_ACT_NOTIFY"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]})",
       "architectures \"SCMP_ARCH_Z80\""},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["F"]})", "flags \"F\""},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
          {"names": ["read"], "action": "nothing"}]})",
       "\"nothing\""},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],
          "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "op": "=="}]}]})",
       "\"==\""},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"],
          "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "op": "SCMP_CMP_EQ"}]}]})",
       "index 6 is above 5"},
      {R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
          {"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]})",
       "write"},
  };
  for (const Case& one : cases) {
    const auto program = CompileSeccomp(Profile(one.json));
    EXPECT_TRUE(absl::IsInvalidArgument(program.status())) << one.json << program.status();
    EXPECT_THAT(std::string(program.status().message()), testing::HasSubstr(one.named));
  }
}

}  // namespace
}  // namespace gantry::runtime
