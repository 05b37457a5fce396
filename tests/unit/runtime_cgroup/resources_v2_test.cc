#include "runtime/cgroup/resources_v2.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/runtime_cgroup/kernel_cgroup.h"

namespace gantry::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// A cgroup as a map of file to text.
using Files = std::map<std::string, std::string>;

absl::StatusOr<std::vector<FileWrite>> Plan(const std::string& resources, const Files& files = {}) {
  return PlanResourcesV2(Resources(resources),
                         [&files](const char* file) -> absl::StatusOr<std::string> {
                           const auto found = files.find(file);
                           if (found == files.end()) return absl::NotFoundError(file);
                           return found->second;
                         });
}

// "file=value" of each write.
std::vector<std::string> Lines(const std::string& resources, const Files& files = {}) {
  const auto writes = Plan(resources, files);
  EXPECT_TRUE(writes.ok()) << writes.status();
  std::vector<std::string> lines;
  for (const FileWrite& one : *writes) lines.push_back(one.file + "=" + one.value);
  return lines;
}

TEST(ResourcesV2Test, SharesBecomeAWeight) {
  EXPECT_EQ(*CpuWeight(2), 1U);
  EXPECT_EQ(*CpuWeight(1024), 39U);
  EXPECT_EQ(*CpuWeight(2048), 79U);
  EXPECT_EQ(*CpuWeight(262144), 10000U);
  EXPECT_TRUE(absl::IsInvalidArgument(CpuWeight(1).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(CpuWeight(262145).status()));
}

TEST(ResourcesV2Test, BlkioWeightsBecomeIoWeightsUnlessBfqTakesThem) {
  EXPECT_EQ(*IoWeight(10), 1U);
  EXPECT_EQ(*IoWeight(500), 4950U);
  EXPECT_EQ(*IoWeight(1000), 10000U);
  EXPECT_TRUE(absl::IsInvalidArgument(IoWeight(9).status()));
  const std::string io = R"({"blockIO": {"weight": 500,
      "weightDevice": [{"major": 8, "minor": 16, "weight": 1000}]}})";
  EXPECT_THAT(Lines(io), ElementsAre("io.weight=4950", "io.weight=8:16 10000"));
  EXPECT_THAT(Lines(io, {{"io.bfq.weight", "default 100\n"}}),
              ElementsAre("io.bfq.weight=500", "io.bfq.weight=8:16 1000"));
}

TEST(ResourcesV2Test, SwapIsWhatMemoryAndSwapHaveBeyondMemory) {
  EXPECT_EQ(*SwapMax(100, 300), 200);
  EXPECT_EQ(*SwapMax(100, 100), 0);
  EXPECT_EQ(*SwapMax(100, -1), -1);
  EXPECT_EQ(*SwapMax(-1, 0), -1) << "no limit of memory lifts swap's too";
  EXPECT_EQ(*SwapMax(100, 0), std::nullopt);
  EXPECT_TRUE(absl::IsInvalidArgument(SwapMax(100, 99).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SwapMax(0, 99).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(SwapMax(-1, 99).status()));
}

TEST(ResourcesV2Test, MemoryLimitsAreWritten) {
  EXPECT_THAT(Lines(R"({"memory": {"limit": 100, "swap": 300, "reservation": 50, "kernel": 7}})"),
              ElementsAre("memory.swap.max=200", "memory.max=100", "memory.low=50"));
  EXPECT_THAT(Lines(R"({"memory": {"limit": -1}})"),
              ElementsAre("memory.swap.max=max", "memory.max=max"));
  EXPECT_THAT(Lines(R"({"memory": {"limit": 0, "swap": 0}})"), ElementsAre());
  EXPECT_THAT(Lines(R"({"memory": {"swap": 300}})", {{"memory.max", "100\n"}}),
              ElementsAre("memory.swap.max=200"))
      << "an update of swap alone";
}

TEST(ResourcesV2Test, ALimitBelowTheUsageIsRefusedIfThatIsToBeChecked) {
  const Files files = {{"memory.current", "4096\n"}};
  EXPECT_TRUE(absl::IsInvalidArgument(
      Plan(R"({"memory": {"limit": 4095, "checkBeforeUpdate": true}})", files).status()));
  EXPECT_THAT(Lines(R"({"memory": {"limit": 4096, "checkBeforeUpdate": true}})", files),
              ElementsAre("memory.max=4096"));
}

TEST(ResourcesV2Test, QuotaAndPeriodShareAFile) {
  EXPECT_THAT(Lines(R"({"cpu": {"shares": 1024, "quota": 50000, "period": 200000}})"),
              ElementsAre("cpu.weight=39", "cpu.max=50000 200000"));
  EXPECT_THAT(Lines(R"({"cpu": {"quota": -1}})"), ElementsAre("cpu.max=max"));
  EXPECT_THAT(Lines(R"({"cpu": {"period": 50000}})", {{"cpu.max", "30000 100000\n"}}),
              ElementsAre("cpu.max=30000 50000"))
      << "the quota stays";
  EXPECT_THAT(Lines(R"({"cpu": {"cpus": "0-1", "mems": "0"}})"),
              ElementsAre("cpuset.cpus=0-1", "cpuset.mems=0"));
}

TEST(ResourcesV2Test, BurstIsWrittenWhereItDoesNotPassTheQuota) {
  EXPECT_THAT(Lines(R"({"cpu": {"quota": 50000, "burst": 40000}})", {{"cpu.max.burst", "0\n"}}),
              ElementsAre("cpu.max=50000", "cpu.max.burst=40000"));
  EXPECT_THAT(Lines(R"({"cpu": {"quota": 10000, "burst": 5000}})", {{"cpu.max.burst", "40000\n"}}),
              ElementsAre("cpu.max.burst=5000", "cpu.max=10000"));
}

TEST(ResourcesV2Test, AnIdleGroupGetsItsWeightWhenItIsAwake) {
  EXPECT_THAT(Lines(R"({"cpu": {"shares": 1024, "idle": 0}})"),
              ElementsAre("cpu.idle=0", "cpu.weight=39"));
  EXPECT_THAT(Lines(R"({"cpu": {"shares": 1024, "idle": 1}})"),
              ElementsAre("cpu.weight=39", "cpu.idle=1"));
}

TEST(ResourcesV2Test, TheOtherControllersAreWritten) {
  EXPECT_THAT(Lines(R"({"pids": {"limit": 7}})"), ElementsAre("pids.max=7"));
  EXPECT_THAT(Lines(R"({"pids": {"limit": -1}})"), ElementsAre("pids.max=max"));
  EXPECT_THAT(Lines(R"({"hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}]})"),
              ElementsAre("hugetlb.2MB.max=4194304", "hugetlb.2MB.rsvd.max=4194304"));
  EXPECT_THAT(Lines(R"({"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}}})"),
              ElementsAre("rdma.max=mlx5_1 hca_handle=3 hca_object=10000"));
  EXPECT_THAT(
      Lines(R"({"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}})"),
      ElementsAre("io.max=8:0 rbps=600", "io.max=8:16 wiops=max"));
}

TEST(ResourcesV2Test, UnifiedIsWrittenLastAndLineByLine) {
  EXPECT_THAT(Lines(R"({"memory": {"limit": 9}, "unified": {"memory.high": "8",
                       "io.max": "8:0 rbps=1\n8:16 rbps=2", "cgroup.max.depth": "3"}})"),
              ElementsAre("memory.max=9", "cgroup.max.depth=3", "io.max=8:0 rbps=1",
                          "io.max=8:16 rbps=2", "memory.high=8"));
}

struct Refused {
  const char* resources;
  absl::StatusCode code;
  const char* named;
};

class RefusedV2Test : public testing::TestWithParam<Refused> {};

TEST_P(RefusedV2Test, AFieldThatCannotBeMetIsNamed) {
  const auto writes = Plan(GetParam().resources);
  ASSERT_FALSE(writes.ok());
  EXPECT_EQ(writes.status().code(), GetParam().code) << writes.status();
  EXPECT_THAT(std::string(writes.status().message()), HasSubstr(GetParam().named));
}

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kUnimplemented = absl::StatusCode::kUnimplemented;

INSTANTIATE_TEST_SUITE_P(
    All, RefusedV2Test,
    testing::Values(
        Refused{R"({"unified": {"cgroup.procs": "1"}})", kInvalid,
                "linux.resources.unified.cgroup.procs"},
        Refused{R"({"unified": {"cgroup.kill": "1"}})", kInvalid, "cgroup.kill"},
        Refused{R"({"unified": {"cgroup.subtree_control": "-memory"}})", kInvalid,
                "cgroup.subtree_control"},
        Refused{R"({"unified": {"memory max.x": "1"}})", kInvalid, "memory max"},
        Refused{R"({"memory": {"limit": 100, "swap": 50}})", kInvalid, "memory.swap"},
        Refused{R"({"cpu": {"shares": 1}})", kInvalid, "cpu.shares = 1"},
        Refused{R"({"memory": {"swappiness": 10}})", kUnimplemented, "swappiness"},
        Refused{R"({"memory": {"disableOOMKiller": true}})", kUnimplemented, "disableOOMKiller"},
        Refused{R"({"memory": {"kernelTCP": 5}})", kUnimplemented, "kernelTCP"},
        Refused{R"({"cpu": {"realtimeRuntime": 5}})", kUnimplemented, "realtimeRuntime"},
        Refused{R"({"blockIO": {"leafWeight": 5}})", kUnimplemented, "leafWeight"},
        Refused{R"({"network": {"classID": 5}})", kUnimplemented, "classID"}),
    [](const auto& info) { return "Case" + std::to_string(info.index); });

}  // namespace
}  // namespace gantry::runtime
