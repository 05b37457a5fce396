#include "runtime/cgroup/systemd_scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/random.h"
#include "tests/unit/runtime_cgroup/kernel_cgroup.h"

namespace gantry::runtime {
namespace {

using testing::HasSubstr;

class SystemdScopeTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::access("/run/systemd/private", F_OK) != 0 || !(*HostCgroupLayout())->unified_only()) {
      GTEST_SKIP() << "needs systemd as init and cgroup v2 alone: tests/vm/run.sh --systemd";
    }
    const std::string name = "gantrytest-" + RandomHex(6);
    path_ = "system.slice:" + name + ":c";
    dir_ = (*HostCgroupLayout())->unified_mount + "/system.slice/" + name + "-c.scope";
  }

  [[nodiscard]] std::string Text(const std::string& file) const {
    const absl::StatusOr<std::string> text = ReadFile(dir_ + "/" + file);
    return text.ok() ? *text : std::string(text.status().message());
  }

  // A process that is born in the cgroup and waits to be killed.
  static pid_t CloneInto(const Cgroup::Entrance& entrance) {
    clone_args args{};
    args.flags = CLONE_INTO_CGROUP;
    args.exit_signal = SIGCHLD;
    args.cgroup = static_cast<uint64_t>(entrance.unified_dir);
    const pid_t pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
    if (pid != 0) return pid;
    for (;;) ::pause();
  }

  std::string path_;
  std::string dir_;
};

TEST_F(SystemdScopeTest, AContainerLivesInAScopeWithItsLimits) {
  auto cgroup = Cgroup::Create(path_, Resources(R"({
      "memory": {"limit": 33554432, "swap": 50331648}, "pids": {"limit": 70},
      "cpu": {"shares": 1024, "quota": 12345, "period": 100000, "cpus": "0"}})"));
  ASSERT_TRUE(cgroup.ok()) << cgroup.status();
  pid_t pid = -1;
  {
    const auto entrance = (*cgroup)->OpenEntrance();
    ASSERT_TRUE(entrance.ok()) << entrance.status();
    pid = CloneInto(*entrance);
    ASSERT_GT(pid, 0) << std::strerror(errno);
  }
  EXPECT_EQ(*(*cgroup)->Pids(), std::vector<pid_t>{pid}) << "the placeholder is gone";
  EXPECT_EQ(Text("memory.max"), "33554432\n");
  EXPECT_EQ(Text("memory.swap.max"), "16777216\n");
  EXPECT_EQ(Text("pids.max"), "70\n");
  EXPECT_EQ(Text("cpu.weight"), "39\n");
  EXPECT_EQ(Text("cpu.max"), "12345 100000\n");
  EXPECT_EQ(Text("cpuset.cpus"), "0\n");
  // An update is told to systemd too: it stays when systemd reads its units again.
  ASSERT_EQ((*cgroup)->Apply(Resources(R"({"memory": {"limit": 16777216}})")), absl::OkStatus());
  ASSERT_EQ(::system("systemctl daemon-reload"), 0);
  EXPECT_EQ(Text("memory.max"), "16777216\n");
  EXPECT_EQ(Text("pids.max"), "70\n");
  // Another process finds it by its path.
  const auto found = Cgroup::Open(path_);
  ASSERT_TRUE(found.ok()) << found.status();
  const auto again = Cgroup::Create(path_, LinuxResources{});
  EXPECT_TRUE(absl::IsFailedPrecondition(again.status())) << again.status();
  ASSERT_EQ((*found)->KillAll(SIGKILL), absl::OkStatus());
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  EXPECT_EQ((*found)->Remove(), absl::OkStatus());
  EXPECT_EQ((*found)->Remove(), absl::OkStatus()) << "a second time";
  EXPECT_FALSE(std::filesystem::exists(dir_));
}

TEST_F(SystemdScopeTest, TheNameIsFreeAtOnceWhenItIsRemoved) {
  for (int round = 0; round < 5; ++round) {
    const auto cgroup = Cgroup::Create(path_, LinuxResources{});
    ASSERT_TRUE(cgroup.ok()) << cgroup.status() << " in round " << round;
    ASSERT_EQ((*cgroup)->KillAll(SIGKILL), absl::OkStatus());
    ASSERT_EQ((*cgroup)->Remove(), absl::OkStatus());
  }
}

TEST_F(SystemdScopeTest, ALimitThatTheKernelRefusesLeavesNoScope) {
  const auto made = Cgroup::Create(path_, Resources(R"({"unified": {"memory.max": "lots"}})"));
  EXPECT_TRUE(absl::IsInvalidArgument(made.status())) << made.status();
  EXPECT_FALSE(std::filesystem::exists(dir_));
  const auto next = Cgroup::Create(path_, LinuxResources{});
  ASSERT_TRUE(next.ok()) << next.status();
  ASSERT_EQ((*next)->KillAll(SIGKILL), absl::OkStatus());
  EXPECT_EQ((*next)->Remove(), absl::OkStatus());
}

TEST_F(SystemdScopeTest, WhatSystemdRefusesIsToldInItsWords) {
  const auto made = Cgroup::Create("system.slice:gantry test:c", LinuxResources{});
  EXPECT_FALSE(made.ok());
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("systemd: "));
}

}  // namespace
}  // namespace gantry::runtime
