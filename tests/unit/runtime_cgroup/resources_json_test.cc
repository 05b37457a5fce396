#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/spec/resources.h"
#include "runtime/spec/seccomp.h"

namespace gantry::runtime {
namespace {

absl::StatusOr<LinuxResources> ParseText(const char* text) {
  return ResourcesFromJson(*ParseJson(text, "test"));
}

TEST(ResourcesJsonTest, EveryFieldIsRead) {
  const auto parsed = ParseText(R"({
    "devices": [{"allow": true, "type": "c", "major": 1, "minor": -1, "access": "rw"}],
    "memory": {"limit": 1, "reservation": 2, "swap": -1, "kernel": 4, "kernelTCP": 5,
               "swappiness": 6, "disableOOMKiller": true, "checkBeforeUpdate": true},
    "cpu": {"shares": 1024, "quota": -1, "burst": 3, "period": 4, "realtimeRuntime": 5,
            "realtimePeriod": 6, "cpus": "0-1", "mems": "0", "idle": 1},
    "pids": {"limit": 7},
    "blockIO": {"weight": 10, "weightDevice": [{"major": 8, "minor": 0, "weight": 20}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 30}]},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 40}],
    "network": {"classID": 50, "priorities": [{"name": "eth0", "priority": 60}]},
    "rdma": {"mlx5": {"hcaHandles": 70}}, "unified": {"memory.high": "80"}, "later": {}})");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->devices[0], (DeviceRule{true, "c", 1, std::nullopt, "rw"}));
  EXPECT_EQ(parsed->memory->swap, -1);
  EXPECT_EQ(parsed->memory->disable_oom_killer, true);
  EXPECT_EQ(parsed->cpu->quota, -1);
  EXPECT_EQ(parsed->cpu->cpus, "0-1");
  EXPECT_EQ(parsed->pids->limit, 7);
  EXPECT_EQ(parsed->block_io->weight_device[0].weight, 20U);
  EXPECT_EQ(parsed->block_io->throttle_write_iops[0].rate, 30U);
  EXPECT_EQ(parsed->hugepage_limits[0].limit, 40U);
  EXPECT_EQ(parsed->network->priorities[0].priority, 60U);
  EXPECT_EQ(parsed->rdma.at("mlx5").hca_handles, 70U);
  EXPECT_EQ(parsed->unified.at("memory.high"), "80");
}

TEST(ResourcesJsonTest, NullIsAbsent) {
  const auto parsed = ParseText(R"({"memory": {"limit": null}, "cpu": null})");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_FALSE(parsed->memory->limit.has_value());
  EXPECT_FALSE(parsed->cpu.has_value());
}

struct Wrong {
  const char* json;
  const char* message;
};

TEST(ResourcesJsonTest, AWrongFieldIsNamedWithItsPath) {
  const Wrong cases[] = {
      {R"({"memory": {"limit": "1g"}})",
       "linux.resources.memory.limit: expected an integer, got string"},
      {R"({"memory": {"limit": 18446744073709551615}})",
       "linux.resources.memory.limit: 18446744073709551615 is too large"},
      {R"({"cpu": {"shares": -5}})", "linux.resources.cpu.shares: -5 is negative"},
      {R"({"cpu": []})", "linux.resources.cpu: expected an object, got array"},
      {R"({"devices": [{}, {"type": "x"}]})",
       "linux.resources.devices[1].type: unknown device type \"x\""},
      {R"({"devices": [{"access": "rwx"}]})",
       "linux.resources.devices[0].access: \"rwx\" has letters beyond r, w and m"},
      {R"({"unified": {"../x.y": "1"}})",
       "linux.resources.unified.../x.y: is no name of a cgroup file"},
      {R"({"hugepageLimits": [{"pageSize": "../x", "limit": 1}]})",
       "linux.resources.hugepageLimits[0].pageSize: \"../x\" is no page size"},
  };
  for (const Wrong& one : cases) {
    const auto parsed = ParseText(one.json);
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << one.json;
    EXPECT_EQ(std::string(parsed.status().message()), one.message);
  }
}

TEST(SeccompJsonTest, FieldsAreReadAndWrongOnesNamed) {
  const auto parsed = SeccompFromJson(*ParseJson(R"({"defaultAction": "SCMP_ACT_ERRNO",
    "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64"], "flags": [],
    "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1,
      "args": [{"index": 1, "value": 2, "valueTwo": 3, "op": "SCMP_CMP_EQ"}]}]})",
                                                 "test"));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->default_errno_ret, 38U);
  EXPECT_TRUE(parsed->flags.has_value());
  EXPECT_EQ(parsed->syscalls[0].args[0], (SeccompArg{1, 2, 3, "SCMP_CMP_EQ"}));
  const auto wrong = SeccompFromJson(
      *ParseJson(R"({"defaultAction": "A", "syscalls": [{"names": 5, "action": "B"}]})", "test"));
  EXPECT_EQ(std::string(wrong.status().message()),
            "linux.seccomp.syscalls[0].names: expected an array, got number");
  EXPECT_EQ(std::string(SeccompFromJson(*ParseJson("{}", "test")).status().message()),
            "linux.seccomp.defaultAction: is missing");
}

}  // namespace
}  // namespace gantry::runtime
