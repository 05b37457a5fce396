#include "runtime/cgroup/cgroup.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "runtime/cgroup/directory.h"
#include "runtime/cgroup/layout.h"
#include "tests/unit/runtime_cgroup/kernel_cgroup.h"

namespace gantry::runtime {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr size_t kMiB = 1 << 20;

std::string FileText(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  return text.ok() ? *text : std::string(text.status().message());
}

int UseMemory(size_t bytes) {
  void* const memory =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  std::memset(memory, 1, bytes);
  return 0;
}

int Forever() {
  for (;;) ::pause();
}

// These need a host with cgroup v1 hierarchies, and root.
class CgroupTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    if ((*HostCgroupLayout())->unified_only()) GTEST_SKIP() << "needs cgroup v1 hierarchies";
  }

  std::unique_ptr<Cgroup> Make(const std::string& name, const std::string& resources = "{}") {
    absl::StatusOr<std::unique_ptr<Cgroup>> made =
        Cgroup::Create(parent_.Path(name), Resources(resources));
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  TestParent parent_;
};

TEST_F(CgroupTest, AProcessIsMovedInEveryHierarchy) {
  const auto cgroup = Make("c");
  WaitingChild child([] { return 0; });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  std::ifstream file("/proc/" + std::to_string(child.pid()) + "/cgroup");
  for (std::string line; std::getline(file, line);) {
    EXPECT_THAT(line, HasSubstr(parent_.Path("c")));
  }
  const auto pids = cgroup->Pids();
  ASSERT_TRUE(pids.ok());
  EXPECT_EQ(*pids, std::vector<pid_t>{child.pid()});
  child.Go();
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(cgroup->Remove().ok());
  EXPECT_THAT(parent_.Left(), IsEmpty());
}

TEST_F(CgroupTest, AProcessEntersEveryHierarchyByItself) {
  const auto cgroup = Make("c");
  const auto entrance = cgroup->OpenEntrance();
  ASSERT_TRUE(entrance.ok()) << entrance.status();
  ASSERT_EQ(entrance->tasks.size(), (*HostCgroupLayout())->v1.size());
  WaitingChild child([&] {
    for (const auto& tasks : entrance->tasks) {
      if (::write(tasks.file.get(), "0", 1) != 1) return 1;
    }
    ::raise(SIGSTOP);
    return 0;
  });
  child.Go();
  int status = 0;
  ASSERT_EQ(::waitpid(child.pid(), &status, WUNTRACED), child.pid());
  ASSERT_TRUE(WIFSTOPPED(status)) << status;
  for (const Hierarchy& hierarchy : (*HostCgroupLayout())->v1) {
    const auto procs = ReadFile(parent_.In(hierarchy.controllers[0]) + "/c/cgroup.procs");
    ASSERT_TRUE(procs.ok()) << procs.status();
    EXPECT_EQ(*procs, absl::StrCat(child.pid(), "\n")) << hierarchy.mount_point;
  }
  EXPECT_EQ(entrance->unified_dir >= 0, !(*HostCgroupLayout())->unified_mount.empty());
}

TEST_F(CgroupTest, TheMemoryLimitKillsAndTheKillIsCountedAndTold) {
  const auto cgroup = Make("c", R"({"memory": {"limit": 16777216, "swap": 16777216}})");
  auto event = cgroup->WatchOom();
  ASSERT_TRUE(event.ok()) << event.status();
  WaitingChild child([] { return UseMemory(64 * kMiB); });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  EXPECT_EQ(*cgroup->OomKills(), 0U);
  child.Go();
  const int status = child.Wait();
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  struct pollfd readable = {event->fd(), event->events(), 0};
  EXPECT_EQ(::poll(&readable, 1, 60000), 1);
  EXPECT_TRUE(event->Clear());
  EXPECT_EQ(*cgroup->OomKills(), 1U);
  const auto stats = cgroup->Stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(stats->v1.memory->usage.limit, 16 * kMiB);
  EXPECT_GT(stats->v1.memory->usage.max, 0U);
  EXPECT_EQ(stats->v1.memory_oom_control->oom_kill, 1U);
  EXPECT_TRUE(cgroup->Remove().ok());
}

TEST_F(CgroupTest, ThePidsLimitHolds) {
  const auto cgroup = Make("c", R"({"pids": {"limit": 1}})");
  WaitingChild child([] { return ::fork() < 0 ? errno : 0; });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  child.Go();
  EXPECT_EQ(WEXITSTATUS(child.Wait()), EAGAIN);
  EXPECT_EQ(cgroup->Stats()->v1.pids->limit, 1U);
  EXPECT_TRUE(cgroup->Remove().ok());
}

TEST_F(CgroupTest, OneThatIsNotEmptyIsToldAtOnceAndOneThatIsIsRemoved) {
  const auto cgroup = Make("c");
  WaitingChild child(Forever);
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  EXPECT_TRUE(absl::IsFailedPrecondition(cgroup->RemoveIfEmpty()));
  // Whatever is gone already, the process is still found.
  ASSERT_TRUE(cgroup->KillAll(SIGKILL).ok());
  EXPECT_EQ(WTERMSIG(child.Wait()), SIGKILL);
  EXPECT_TRUE(cgroup->Remove().ok());
  const auto again = Make("c");
  EXPECT_TRUE(again->RemoveIfEmpty().ok());
  EXPECT_TRUE(absl::IsNotFound(Cgroup::Open(parent_.Path("c")).status()));
}

TEST_F(CgroupTest, FreezingStopsACounterAndThawingLetsItGoOn) {
  const auto cgroup = Make("c");
  auto* const counter = static_cast<std::atomic<uint64_t>*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(counter, MAP_FAILED);
  WaitingChild child([counter] {
    for (;;) counter->fetch_add(1);
    return 0;
  });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  EXPECT_FALSE(*cgroup->Frozen());
  child.Go();
  while (counter->load() == 0) ::poll(nullptr, 0, 1);
  ASSERT_TRUE(cgroup->Freeze().ok());
  EXPECT_TRUE(*cgroup->Frozen());
  const uint64_t frozen_at = counter->load();
  ::poll(nullptr, 0, 50);  // time in which it would count if it ran
  EXPECT_EQ(counter->load(), frozen_at);
  ASSERT_TRUE(cgroup->Thaw().ok());
  while (counter->load() == frozen_at) ::poll(nullptr, 0, 1);
  // A frozen one is killed as well, at once.
  ASSERT_TRUE(cgroup->Freeze().ok());
  ASSERT_TRUE(cgroup->KillAll(SIGKILL).ok());
  EXPECT_EQ(WTERMSIG(child.Wait()), SIGKILL);
  EXPECT_TRUE(cgroup->Remove().ok());
  ::munmap(counter, 4096);
}

// What opening the device `minor` of the kernel's memory devices gives, from within `cgroup`.
int OpenMemoryDevice(Cgroup& cgroup, int minor) {
  const std::string path =
      "/tmp/gantry-test-device-" + std::to_string(::getpid()) + "-" + std::to_string(minor);
  ::mknod(path.c_str(), S_IFCHR | 0600, ::makedev(1, static_cast<unsigned>(minor)));
  WaitingChild child(
      [&path] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC) < 0 ? errno : 0; });
  EXPECT_TRUE(cgroup.AddProcess(child.pid()).ok());
  child.Go();
  const int result = WEXITSTATUS(child.Wait());
  ::unlink(path.c_str());
  return result;
}

TEST_F(CgroupTest, WithoutDeviceRulesOnlyTheUsualDevicesOpen) {
  const auto cgroup = Make("c");
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 3), 0) << "/dev/null";
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11), EPERM) << "/dev/kmsg";
  EXPECT_TRUE(cgroup->Remove().ok());
}

TEST_F(CgroupTest, ADeviceIsOpenWhileARuleAllowsIt) {
  const auto cgroup = Make("c", R"({"devices": [{"allow": false, "access": "rwm"},
      {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]})");
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11), 0);
  ASSERT_TRUE(cgroup->Apply(Resources(R"({"devices": [{"allow": false, "access": "rwm"}]})")).ok());
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11), EPERM);
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 3), 0);
  ASSERT_TRUE(cgroup->Apply(Resources(R"({"devices": [{"allow": true}]})")).ok());
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11), 0);
  EXPECT_TRUE(cgroup->Remove().ok());
}

TEST_F(CgroupTest, StatsShowWhatWasUsed) {
  const auto cgroup = Make("c");
  WaitingChild child([] {
    if (UseMemory(8 * kMiB) != 0) return 1;
    while (std::clock() < CLOCKS_PER_SEC / 20) {
    }
    ::raise(SIGSTOP);
    return 0;
  });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  child.Go();
  int status = 0;
  ASSERT_EQ(::waitpid(child.pid(), &status, WUNTRACED), child.pid());
  ASSERT_TRUE(WIFSTOPPED(status));
  const auto stats = cgroup->Stats();
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->version, CgroupVersion::kV1);
  EXPECT_EQ(stats->v1.pids->current, 1U);
  EXPECT_EQ(stats->v1.pids->limit, 0U);
  EXPECT_GT(stats->v1.cpu->total, 1000000U);
  EXPECT_FALSE(stats->v1.cpu->per_cpu.empty());
  EXPECT_GE(stats->v1.memory->total_rss, 8 * kMiB);
  EXPECT_GE(stats->v1.memory->usage.usage, 8 * kMiB);
  ::kill(child.pid(), SIGKILL);
  child.Wait();
  EXPECT_TRUE(cgroup->Remove().ok());
}

TEST_F(CgroupTest, LimitsAreRaisedAndLoweredInAnOrderTheKernelTakes) {
  const auto cgroup = Make("c", R"({"memory": {"limit": 33554432, "swap": 33554432},
      "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"}})");
  const std::string memory = parent_.In("memory") + "/c/memory.";
  EXPECT_EQ(FileText(memory + "limit_in_bytes"), "33554432\n");
  for (const char* const update :
       {R"({"memory": {"limit": 67108864, "swap": 134217728}})",
        R"({"memory": {"limit": 16777216, "swap": 16777216}})", R"({"memory": {"limit": -1}})"}) {
    EXPECT_EQ(cgroup->Apply(Resources(update)), absl::OkStatus()) << update;
  }
  EXPECT_GT(std::stoull(FileText(memory + "memsw.limit_in_bytes")), uint64_t{1} << 60);
  // 0 is "not set".
  EXPECT_TRUE(cgroup->Apply(Resources(R"({"memory": {"limit": 0}, "cpu": {"shares": 0}})")).ok());
  EXPECT_GT(std::stoull(FileText(memory + "limit_in_bytes")), uint64_t{1} << 60);
  const std::string cpu = parent_.In("cpu") + "/c/cpu.";
  EXPECT_EQ(FileText(cpu + "shares"), "512\n");
  EXPECT_EQ(FileText(cpu + "cfs_quota_us"), "50000\n");
  EXPECT_TRUE(cgroup->Apply(Resources(R"({"cpu": {"quota": 4000, "period": 5000}})")).ok());
  EXPECT_TRUE(cgroup
                  ->Apply(Resources(R"({"cpu": {"quota": 90000, "period": 100000,
      "burst": 1000}})"))
                  .ok());
  EXPECT_TRUE(cgroup->Apply(Resources(R"({"cpu": {"quota": -1}})")).ok());
  EXPECT_EQ(FileText(cpu + "cfs_quota_us"), "-1\n");
  EXPECT_EQ(FileText(parent_.In("cpuset") + "/c/cpuset.cpus"), "0\n");
  EXPECT_TRUE(cgroup->Remove().ok());
}

struct Refusal {
  const char* resources;
  absl::StatusCode code;
  const char* named;
};

class RefusalTest : public CgroupTest, public testing::WithParamInterface<Refusal> {};

TEST_P(RefusalTest, ARefusedLimitIsNamedAndNothingStays) {
  const auto made = Cgroup::Create(parent_.Path("c"), Resources(GetParam().resources));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), GetParam().code) << made.status();
  EXPECT_THAT(std::string(made.status().message()), HasSubstr(GetParam().named));
  EXPECT_THAT(parent_.Left(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusalTest,
    testing::Values(Refusal{R"({"cpu": {"cpus": "4000"}})", absl::StatusCode::kInvalidArgument,
                            "linux.resources.cpu.cpus = 4000"},
                    Refusal{R"({"cpu": {"quota": 10}})", absl::StatusCode::kInvalidArgument,
                            "linux.resources.cpu.quota = 10"},
                    Refusal{R"({"cpu": {"shares": 1}})", absl::StatusCode::kInvalidArgument,
                            "linux.resources.cpu.shares = 1"},
                    Refusal{R"({"memory": {"limit": 33554432, "swap": 16777216}})",
                            absl::StatusCode::kInvalidArgument, "linux.resources.memory.swap"},
                    Refusal{R"({"network": {"classID": 5}})", absl::StatusCode::kUnimplemented,
                            "network.classID = 5"},
                    Refusal{R"({"unified": {"memory.high": "max"}})",
                            absl::StatusCode::kInvalidArgument, "linux.resources.unified"},
                    Refusal{R"({"devices": [{"allow": true, "type": "c", "access": "rwm"},
                                {"allow": false, "type": "c", "major": 1, "minor": 11}]})",
                            absl::StatusCode::kInvalidArgument, "linux.resources.devices[1]"}),
    [](const auto& info) { return "Case" + std::to_string(info.index); });

TEST_F(CgroupTest, RemoveTakesWhatTheContainerMadeBelowAndKeepsTheParent) {
  const auto cgroup = Make("c");
  const auto other = Make("other");
  for (const char* const controller : {"memory", "pids"}) {
    std::filesystem::create_directories(parent_.In(controller) + "/c/deep/deeper");
  }
  WaitingChild child(Forever);
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  ASSERT_TRUE(WriteExisting(parent_.In("memory") + "/c/deep/deeper/cgroup.procs",
                            std::to_string(child.pid()))
                  .ok());
  ASSERT_TRUE(cgroup->KillAll(SIGKILL).ok());
  // Not reaped: the cgroup is free as soon as the process is dead.
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
  child.Wait();
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus()) << "absent is fine";
  EXPECT_TRUE(std::filesystem::exists(parent_.In("memory") + "/other"));
  EXPECT_TRUE(other->Remove().ok());
  EXPECT_THAT(parent_.Left(), IsEmpty());
}

TEST_F(CgroupTest, HoweverDeepTheContainersOwnCgroupsAreTheyAreSearchedAndRemoved) {
  const auto cgroup = Make("c");
  constexpr int kDepth = 200;
  // Names that begin with a dot are names like others.
  UniqueFd at(::open((parent_.In("pids") + "/c").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < kDepth; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), ".d", 0755), 0) << std::strerror(errno);
    at = UniqueFd(::openat(at.get(), ".d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  WaitingChild child(Forever);
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  UniqueFd procs(::openat(at.get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
  const std::string pid = std::to_string(child.pid());
  ASSERT_EQ(::write(procs.get(), pid.data(), pid.size()), static_cast<ssize_t>(pid.size()));
  procs.reset();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 64;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  const absl::StatusOr<CgroupDir> top = CgroupDir::Open(parent_.In("pids") + "/c");
  std::set<pid_t> pids;
  const absl::Status collected = top.ok() ? top->CollectPids(&pids) : top.status();
  const absl::Status killed = cgroup->KillAll(SIGKILL);
  const absl::Status removed = cgroup->Remove();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(collected, absl::OkStatus());
  EXPECT_EQ(pids, std::set<pid_t>{child.pid()});
  EXPECT_EQ(killed, absl::OkStatus());
  EXPECT_EQ(removed, absl::OkStatus());
  EXPECT_EQ(WTERMSIG(child.Wait()), SIGKILL);
  // By hand, should that have failed.
  for (int i = 0; i < kDepth && !removed.ok(); ++i) {
    at = UniqueFd(::openat(at.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ::unlinkat(at.get(), ".d", AT_REMOVEDIR);
  }
}

TEST_F(CgroupTest, KillAllReachesWhatForksMeanwhile) {
  const auto cgroup = Make("c", R"({"pids": {"limit": 200}})");
  WaitingChild child([] {
    for (;;) ::fork();
    return 0;
  });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  child.Go();
  while (cgroup->Pids()->size() < 150) ::poll(nullptr, 0, 1);
  ASSERT_EQ(cgroup->KillAll(SIGKILL), absl::OkStatus());
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
  EXPECT_EQ(WTERMSIG(child.Wait()), SIGKILL);
}

TEST_F(CgroupTest, ACgroupInUseIsNotTakenAndAnEmptyOneIsMadeAnew) {
  const auto first = Make("c", R"({"pids": {"limit": 5}})");
  {
    WaitingChild child(Forever);
    ASSERT_TRUE(first->AddProcess(child.pid()).ok());
    const auto second = Cgroup::Create(parent_.Path("c"), LinuxResources{});
    EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
    EXPECT_EQ(*first->Pids(), std::vector<pid_t>{child.pid()});
  }
  const auto third = Make("c");
  EXPECT_EQ(FileText(parent_.In("pids") + "/c/pids.max"), "max\n");
  EXPECT_TRUE(third->Remove().ok());
}

TEST_F(CgroupTest, OpenFindsWhatCreateMade) {
  EXPECT_TRUE(absl::IsNotFound(Cgroup::Open(parent_.Path("c")).status()));
  const auto made = Make("c");
  const auto found = Cgroup::Open(parent_.Path("c"));
  ASSERT_TRUE(found.ok()) << found.status();
  WaitingChild child([] { return 0; });
  ASSERT_TRUE((*found)->AddProcess(child.pid()).ok());
  EXPECT_EQ(*made->Pids(), std::vector<pid_t>{child.pid()});
  child.Go();
  child.Wait();
  EXPECT_TRUE((*found)->Remove().ok());
  EXPECT_THAT(parent_.Left(), IsEmpty());
}

TEST_F(CgroupTest, APathCannotLeaveTheHierarchy) {
  for (const char* const path : {"", "/", "..", "/../..", "/a/.."}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Cgroup::Create(path, LinuxResources{}).status())) << path;
  }
  const auto cgroup = Cgroup::Create("/../.." + parent_.Path("x/../c"), LinuxResources{});
  ASSERT_TRUE(cgroup.ok()) << cgroup.status();
  EXPECT_TRUE(std::filesystem::exists(parent_.In("memory") + "/c"));
  EXPECT_TRUE((*cgroup)->Remove().ok());
}

}  // namespace
}  // namespace gantry::runtime
