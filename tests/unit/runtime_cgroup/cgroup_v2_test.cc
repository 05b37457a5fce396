#include "runtime/cgroup/cgroup_v2.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "base/random.h"
#include "runtime/cgroup/tree_v2.h"
#include "tests/unit/runtime_cgroup/kernel_cgroup.h"

namespace gantry::runtime {
namespace {

using testing::HasSubstr;

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

// On any host with a v2 tree: a hybrid one's is taken as if it were alone. It has few controllers,
// if any: the tests of limits run on a host with v2 alone (tests/vm/run.sh).
class CgroupV2Test : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root";
    layout_ = **HostCgroupLayout();
    if (layout_.unified_mount.empty()) GTEST_SKIP() << "needs a cgroup v2 tree";
    layout_.v1.clear();
    parent_ = "/gantry-test-v2-" + std::to_string(::getpid()) + "-" + RandomHex(4);
  }

  void TearDown() override {
    if (parent_.empty()) return;
    const auto parent = CgroupDir::Open(layout_.unified_mount + parent_);
    if (!parent.ok()) return;
    EXPECT_TRUE(parent->Remove().ok()) << "something is left in " << parent->path();
  }

  [[nodiscard]] std::string Path(const std::string& child) const { return parent_ + "/" + child; }
  [[nodiscard]] std::string Dir(const std::string& child) const {
    return layout_.unified_mount + Path(child);
  }

  std::unique_ptr<Cgroup> Make(const std::string& name, const std::string& resources = "{}") {
    auto made = CgroupV2::Create(layout_, Path(name), Resources(resources));
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  CgroupLayout layout_;
  std::string parent_;
};

// Those that need controllers in the v2 tree.
class LimitV2Test : public CgroupV2Test {
 protected:
  void SetUp() override {
    CgroupV2Test::SetUp();
    if (IsSkipped()) return;
    const std::string all = FileText(layout_.unified_mount + "/cgroup.controllers");
    for (const char* const one : {"cpu", "memory", "pids"}) {
      if (all.find(one) == std::string::npos) {
        GTEST_SKIP() << "needs the " << one << " controller in the v2 tree: tests/vm/run.sh";
      }
    }
  }
};

TEST_F(CgroupV2Test, AProcessIsMovedInAndListed) {
  const auto cgroup = Make("c");
  WaitingChild child([] { return 0; });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  EXPECT_THAT(FileText("/proc/" + std::to_string(child.pid()) + "/cgroup"),
              HasSubstr("0::" + Path("c") + "\n"));
  EXPECT_EQ(*cgroup->Pids(), std::vector<pid_t>{child.pid()});
  child.Go();
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
  EXPECT_FALSE(std::filesystem::exists(Dir("c")));
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus()) << "absent is fine";
}

// A child of clone3(2) that is born in `entrance`, tells nothing and exits with 0.
pid_t CloneInto(const Cgroup::Entrance& entrance) {
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = static_cast<uint64_t>(entrance.unified_dir);
  const pid_t pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) {
    for (;;) ::pause();
  }
  return pid;
}

TEST_F(CgroupV2Test, AProcessIsBornInTheCgroup) {
  const auto cgroup = Make("c");
  const auto entrance = cgroup->OpenEntrance();
  ASSERT_TRUE(entrance.ok()) << entrance.status();
  EXPECT_TRUE(entrance->tasks.empty());
  const pid_t pid = CloneInto(*entrance);
  ASSERT_GT(pid, 0) << std::strerror(errno);
  EXPECT_EQ(*cgroup->Pids(), std::vector<pid_t>{pid});
  ASSERT_EQ(cgroup->KillAll(SIGKILL), absl::OkStatus());
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus()) << "not reaped, but dead";
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
}

TEST_F(CgroupV2Test, FreezingStopsACounterAndThawingLetsItGoOn) {
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
  ASSERT_EQ(cgroup->Freeze(), absl::OkStatus());
  EXPECT_TRUE(*cgroup->Frozen());
  const uint64_t frozen_at = counter->load();
  ::poll(nullptr, 0, 50);  // time in which it would count if it ran
  EXPECT_EQ(counter->load(), frozen_at);
  ASSERT_EQ(cgroup->Thaw(), absl::OkStatus());
  while (counter->load() == frozen_at) ::poll(nullptr, 0, 1);
  // A frozen one is killed as well, at once.
  ASSERT_EQ(cgroup->Freeze(), absl::OkStatus());
  ASSERT_EQ(cgroup->KillAll(SIGKILL), absl::OkStatus());
  EXPECT_EQ(WTERMSIG(child.Wait()), SIGKILL);
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
  ::munmap(counter, 4096);
}

TEST_F(CgroupV2Test, OtherSignalsReachEveryProcessOfTheTree) {
  const auto cgroup = Make("c");
  std::filesystem::create_directory(Dir("c/below"));
  WaitingChild first([] { return 0; });
  WaitingChild second([] { return 0; });
  ASSERT_TRUE(cgroup->AddProcess(first.pid()).ok());
  ASSERT_TRUE(WriteExisting(Dir("c/below/cgroup.procs"), std::to_string(second.pid())).ok());
  EXPECT_THAT(*cgroup->Pids(), testing::UnorderedElementsAre(first.pid(), second.pid()));
  ASSERT_EQ(cgroup->KillAll(SIGTERM), absl::OkStatus());
  EXPECT_EQ(WTERMSIG(first.Wait()), SIGTERM);
  EXPECT_EQ(WTERMSIG(second.Wait()), SIGTERM);
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

TEST_F(CgroupV2Test, KillAllReachesWhatForksMeanwhile) {
  const auto cgroup = Make("c");
  WaitingChild child([] {
    for (int i = 0; i < 6; ++i) ::fork();
    for (;;) ::pause();
    return 0;
  });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  child.Go();
  while (cgroup->Pids()->size() < 10) ::poll(nullptr, 0, 1);
  ASSERT_EQ(cgroup->KillAll(SIGKILL), absl::OkStatus());
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
  EXPECT_EQ(WTERMSIG(child.Wait()), SIGKILL);
}

TEST_F(CgroupV2Test, RemoveOfACgroupInUseSaysSoInBoundedTimeOnceItEmpties) {
  const auto cgroup = Make("c");
  WaitingChild child([] { return 0; });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  child.Go();  // it ends while Remove waits
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

// What opening the device `minor` of the kernel's memory devices gives, from within `cgroup`.
int OpenMemoryDevice(Cgroup& cgroup, int minor, int flags = O_RDONLY) {
  const std::string path =
      "/tmp/gantry-test-device2-" + std::to_string(::getpid()) + "-" + std::to_string(minor);
  ::mknod(path.c_str(), S_IFCHR | 0600, ::makedev(1, static_cast<unsigned>(minor)));
  WaitingChild child([&] { return ::open(path.c_str(), flags | O_CLOEXEC) < 0 ? errno : 0; });
  EXPECT_TRUE(cgroup.AddProcess(child.pid()).ok());
  child.Go();
  const int result = WEXITSTATUS(child.Wait());
  ::unlink(path.c_str());
  return result;
}

TEST_F(CgroupV2Test, WithoutDeviceRulesOnlyTheUsualDevicesOpen) {
  const auto cgroup = Make("c");
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 3, O_RDWR), 0) << "/dev/null";
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11), EPERM) << "/dev/kmsg";
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

TEST_F(CgroupV2Test, ADeviceIsOpenWhileARuleAllowsIt) {
  const auto cgroup = Make("c", R"({"devices": [{"allow": false, "access": "rwm"},
      {"allow": true, "type": "c", "major": 1, "minor": 11, "access": "r"}]})");
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11), 0);
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11, O_WRONLY), EPERM);
  // An update replaces the program; the two together would deny what the second allows.
  ASSERT_EQ(cgroup->Apply(Resources(R"({"devices": [{"allow": false, "access": "rwm"}]})")),
            absl::OkStatus());
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11), EPERM);
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 3), 0);
  ASSERT_EQ(cgroup->Apply(Resources(R"({"devices": [{"allow": true}]})")), absl::OkStatus());
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11, O_WRONLY), 0);
  ASSERT_EQ(cgroup->Apply(Resources(R"({"pids": {"limit": 0}})")), absl::OkStatus());
  EXPECT_EQ(OpenMemoryDevice(*cgroup, 11), 0) << "an update without rules leaves them";
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

TEST_F(CgroupV2Test, ACgroupInUseIsNotTaken) {
  const auto first = Make("c");
  {
    WaitingChild child([] { return 0; });
    ASSERT_TRUE(first->AddProcess(child.pid()).ok());
    const auto second = CgroupV2::Create(layout_, Path("c"), LinuxResources{});
    EXPECT_TRUE(absl::IsFailedPrecondition(second.status())) << second.status();
  }
  EXPECT_EQ(first->Remove(), absl::OkStatus());
}

TEST_F(CgroupV2Test, OpenFindsWhatCreateMade) {
  EXPECT_TRUE(absl::IsNotFound(CgroupV2::Open(layout_, Path("c")).status()));
  const auto made = Make("c");
  const auto found = CgroupV2::Open(layout_, Path("c"));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ((*found)->Remove(), absl::OkStatus());
}

TEST_F(CgroupV2Test, ARelativePathIsBesideTheOwnCgroup) {
  layout_.unified_mount = "/m";
  layout_.unified_own_path = "/system.slice/gantryd.service";
  EXPECT_EQ(CgroupDirectoryV2(layout_, "default/c"), "/m/system.slice/default/c");
  layout_.unified_own_path = "/system.slice/gantryd.service/gantry-own";
  EXPECT_EQ(CgroupDirectoryV2(layout_, "default/c"), "/m/system.slice/default/c");
  EXPECT_EQ(CgroupDirectoryV2(layout_, "/default/../../c"), "/m/c");
  layout_.unified_own_path = "/";
  EXPECT_EQ(CgroupDirectoryV2(layout_, "../c"), "/m/c");
  layout_.unified_mount = (*HostCgroupLayout())->unified_mount;
}

TEST_F(CgroupV2Test, WithoutTheControllerALimitIsRefusedByNameAndNothingStays) {
  if (FileText(layout_.unified_mount + "/cgroup.controllers").find("memory") != std::string::npos) {
    GTEST_SKIP() << "needs a v2 tree without the memory controller";
  }
  const auto made = CgroupV2::Create(layout_, Path("c"), Resources(R"({"memory": {"limit": 9}})"));
  EXPECT_TRUE(absl::IsUnimplemented(made.status())) << made.status();
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("linux.resources.memory.limit = 9"));
  EXPECT_FALSE(std::filesystem::exists(Dir("c")));
}

TEST_F(CgroupV2Test, AThreadedParentIsRefusedWithWhatToDo) {
  std::filesystem::create_directories(Dir("p"));
  ASSERT_TRUE(WriteExisting(Dir("p/cgroup.type"), "threaded").ok());
  const auto made = CgroupV2::Create(layout_, Path("p/c"), LinuxResources{});
  EXPECT_TRUE(absl::IsFailedPrecondition(made.status())) << made.status();
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("threaded"));
  EXPECT_FALSE(std::filesystem::exists(Dir("p/c")));
}

// With a file that every v2 cgroup has: where the memory controller is in v1, memory.events is not
// there, but the kernel tells the changes of all of them alike.
TEST_F(CgroupV2Test, AWatchedFileTellsEachChangeOnceAndTheCgroupsEnd) {
  const auto cgroup = Make("c");
  UniqueFd file(::open(Dir("c/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_TRUE(file.valid());
  OomWatch watch = OomWatch::OfFile(std::move(file));
  const auto told = [&watch](int milliseconds) {
    struct pollfd wanted = {watch.fd(), watch.events(), 0};
    return ::poll(&wanted, 1, milliseconds) == 1;
  };
  EXPECT_FALSE(told(0)) << "nothing has happened yet";
  WaitingChild child([] { return 0; });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  EXPECT_TRUE(told(60'000));
  EXPECT_TRUE(watch.Clear());
  EXPECT_FALSE(told(0)) << "it has been told";
  child.Go();
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(told(60'000));
  EXPECT_TRUE(watch.Clear());
  ASSERT_EQ(cgroup->Remove(), absl::OkStatus());
  EXPECT_TRUE(told(60'000));
  EXPECT_FALSE(watch.Clear());
}

TEST_F(LimitV2Test, WatchingForOomTakesNoInotifyInstance) {
  const auto cgroup = Make("c");
  const auto watch = cgroup->WatchOom();
  ASSERT_TRUE(watch.ok()) << watch.status();
  EXPECT_EQ(std::filesystem::read_symlink(absl::StrCat("/proc/self/fd/", watch->fd())),
            Dir("c/memory.events"));
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

TEST_F(LimitV2Test, TheMemoryLimitKillsAndTheKillIsCountedAndTold) {
  const auto cgroup = Make("c", R"({"memory": {"limit": 16777216, "swap": 16777216}})");
  auto event = cgroup->WatchOom();
  ASSERT_TRUE(event.ok()) << event.status();
  // In a cgroup that the container made: it counts all the same.
  std::filesystem::create_directory(Dir("c/below"));
  WaitingChild child([] { return UseMemory(64 * kMiB); });
  ASSERT_TRUE(WriteExisting(Dir("c/below/cgroup.procs"), std::to_string(child.pid())).ok());
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
  EXPECT_EQ(stats->v2.memory->usage_limit, 16 * kMiB);
  EXPECT_EQ(stats->v2.memory->swap_limit, 0U);
  EXPECT_EQ(stats->v2.memory_events->oom_kill, 1U);
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

TEST_F(LimitV2Test, ThePidsLimitHolds) {
  const auto cgroup = Make("c", R"({"pids": {"limit": 1}})");
  WaitingChild child([] { return ::fork() < 0 ? errno : 0; });
  ASSERT_TRUE(cgroup->AddProcess(child.pid()).ok());
  child.Go();
  EXPECT_EQ(WEXITSTATUS(child.Wait()), EAGAIN);
  EXPECT_EQ(cgroup->Stats()->v2.pids->limit, 1U);
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

TEST_F(LimitV2Test, StatsShowWhatWasUsed) {
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
  EXPECT_EQ(stats->version, CgroupVersion::kV2);
  EXPECT_EQ(stats->v2.pids->current, 1U);
  EXPECT_EQ(stats->v2.pids->limit, UINT64_MAX);
  EXPECT_GT(stats->v2.cpu->usage_usec, 1000U);
  EXPECT_GE(stats->v2.memory->anon, 8 * kMiB);
  EXPECT_GE(stats->v2.memory->usage, 8 * kMiB);
  EXPECT_TRUE(stats->v2.io.has_value());
  ::kill(child.pid(), SIGKILL);
  child.Wait();
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

TEST_F(LimitV2Test, LimitsAreWrittenAndUpdated) {
  const auto cgroup = Make("c", R"({
      "memory": {"limit": 33554432, "swap": 50331648, "reservation": 16777216},
      "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "burst": 10000, "cpus": "0",
              "mems": "0"},
      "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
      "unified": {"memory.high": "25165824", "pids.max": "77"}})");
  EXPECT_EQ(FileText(Dir("c/memory.max")), "33554432\n");
  EXPECT_EQ(FileText(Dir("c/memory.swap.max")), "16777216\n");
  EXPECT_EQ(FileText(Dir("c/memory.low")), "16777216\n");
  EXPECT_EQ(FileText(Dir("c/memory.high")), "25165824\n");
  EXPECT_EQ(FileText(Dir("c/pids.max")), "77\n");
  EXPECT_EQ(FileText(Dir("c/cpu.weight")), "39\n");
  EXPECT_EQ(FileText(Dir("c/cpu.max")), "50000 100000\n");
  EXPECT_EQ(FileText(Dir("c/cpu.max.burst")), "10000\n");
  EXPECT_EQ(FileText(Dir("c/cpuset.cpus")), "0\n");
  EXPECT_EQ(FileText(Dir("c/hugetlb.2MB.max")), "4194304\n");
  for (const char* const update :
       {R"({"cpu": {"quota": 5000, "burst": 1000}})",
        R"({"cpu": {"quota": 90000, "burst": 60000}})", R"({"cpu": {"period": 200000}})",
        R"({"cpu": {"idle": 1}})", R"({"cpu": {"idle": 0, "shares": 2048}})",
        R"({"memory": {"limit": -1}})", R"({"memory": {"limit": 67108864, "swap": -1}})"}) {
    EXPECT_EQ(cgroup->Apply(Resources(update)), absl::OkStatus()) << update;
  }
  EXPECT_EQ(FileText(Dir("c/cpu.max")), "90000 200000\n");
  EXPECT_EQ(FileText(Dir("c/cpu.weight")), "79\n");
  EXPECT_EQ(FileText(Dir("c/memory.max")), "67108864\n");
  EXPECT_EQ(FileText(Dir("c/memory.swap.max")), "max\n");
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

struct Refusal {
  const char* resources;
  absl::StatusCode code;
  const char* named;
};

class RefusalV2Test : public LimitV2Test, public testing::WithParamInterface<Refusal> {};

TEST_P(RefusalV2Test, ARefusedLimitIsNamedAndNothingStays) {
  const auto made = CgroupV2::Create(layout_, Path("c"), Resources(GetParam().resources));
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), GetParam().code) << made.status();
  EXPECT_THAT(std::string(made.status().message()), HasSubstr(GetParam().named));
  EXPECT_FALSE(std::filesystem::exists(Dir("c")));
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusalV2Test,
    testing::Values(
        Refusal{R"({"cpu": {"quota": 10}})", absl::StatusCode::kInvalidArgument, "cpu.quota = 10"},
        Refusal{R"({"cpu": {"cpus": "nonsense"}})", absl::StatusCode::kInvalidArgument,
                "cpu.cpus = nonsense"},
        Refusal{R"({"unified": {"memory.max": "lots"}})", absl::StatusCode::kInvalidArgument,
                "unified.memory.max = lots"},
        Refusal{R"({"unified": {"memory.stat": "1"}})", absl::StatusCode::kInvalidArgument,
                "unified.memory.stat"},
        Refusal{R"({"unified": {"memory.nothing": "1"}})", absl::StatusCode::kUnimplemented,
                "this kernel has no memory.nothing"},
        Refusal{R"({"unified": {"nothing.max": "1"}})", absl::StatusCode::kUnimplemented,
                "has no nothing controller"},
        Refusal{
            R"({"blockIO": {"throttleReadBpsDevice": [{"major": 499, "minor": 7, "rate": 1}]}})",
            absl::StatusCode::kInvalidArgument, "blockIO.throttleReadBpsDevice"}),
    [](const auto& info) { return "Case" + std::to_string(info.index); });

TEST_F(LimitV2Test, AParentWithOthersProcessesIsRefusedOnlyForALimit) {
  std::filesystem::create_directories(Dir("p"));
  ASSERT_TRUE(Make("warm")->Remove().ok());  // enables controllers down to the test's parent
  WaitingChild child([] { return 0; });
  ASSERT_TRUE(WriteExisting(Dir("p/cgroup.procs"), std::to_string(child.pid())).ok());
  const auto limited =
      CgroupV2::Create(layout_, Path("p/c"), Resources(R"({"pids": {"limit": 5}})"));
  EXPECT_TRUE(absl::IsFailedPrecondition(limited.status())) << limited.status();
  EXPECT_THAT(std::string(limited.status().message()), HasSubstr("choose another"));
  EXPECT_FALSE(std::filesystem::exists(Dir("p/c")));
  const auto without = CgroupV2::Create(layout_, Path("p/c"), LinuxResources{});
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ((*without)->Remove(), absl::OkStatus());
}

TEST_F(LimitV2Test, OwnProcessesMakeWayForTheContainersCgroup) {
  ASSERT_TRUE(Make("warm")->Remove().ok());
  std::filesystem::create_directories(Dir("own"));
  WaitingChild child([this] {
    if (!WriteExisting(Dir("own/cgroup.procs"), "0").ok()) return 1;
    const auto made =
        CgroupV2::Create(layout_, Path("own/c"), Resources(R"({"pids": {"limit": 5}})"));
    if (!made.ok()) return 2;
    if (FileText("/proc/self/cgroup").find("/own/gantry-own\n") == std::string::npos) return 3;
    return (*made)->Remove().ok() ? 0 : 4;
  });
  child.Go();
  EXPECT_EQ(WEXITSTATUS(child.Wait()), 0);
}

TEST_F(LimitV2Test, AnotherProcessEntersWhereTheInitOfADividedCgroupIs) {
  const auto cgroup = Make("c");
  std::filesystem::create_directories(Dir("c/init"));
  std::filesystem::create_directories(Dir("c/other"));
  WaitingChild init([] { return 0; });
  WaitingChild later([] { return 0; });
  ASSERT_TRUE(WriteExisting(Dir("c/init/cgroup.procs"), std::to_string(init.pid())).ok());
  ASSERT_TRUE(WriteExisting(Dir("c/other/cgroup.procs"), std::to_string(later.pid())).ok());
  ASSERT_TRUE(WriteExisting(Dir("c/cgroup.subtree_control"), "+pids +memory").ok());
  const auto entrance = cgroup->OpenEntrance();
  ASSERT_TRUE(entrance.ok()) << entrance.status();
  const pid_t pid = CloneInto(*entrance);
  ASSERT_GT(pid, 0) << std::strerror(errno);
  EXPECT_THAT(FileText("/proc/" + std::to_string(pid) + "/cgroup"), HasSubstr("/c/init\n"));
  ASSERT_EQ(cgroup->KillAll(SIGKILL), absl::OkStatus());
  EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
  init.Wait();
  later.Wait();
  EXPECT_EQ(cgroup->Remove(), absl::OkStatus());
}

}  // namespace
}  // namespace gantry::runtime
