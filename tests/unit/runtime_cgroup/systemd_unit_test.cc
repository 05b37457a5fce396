#include "runtime/cgroup/systemd_unit.h"

#include <gtest/gtest.h>

namespace gantry::runtime {
namespace {

TEST(SystemdUnitTest, APathOfThreePartsIsASystemdPath) {
  EXPECT_TRUE(IsSystemdPath("system.slice:docker:abc"));
  EXPECT_TRUE(IsSystemdPath(":docker:abc"));
  EXPECT_FALSE(IsSystemdPath("/system.slice:docker:abc"));
  EXPECT_FALSE(IsSystemdPath("a:b:c")) << "no slice";
  EXPECT_FALSE(IsSystemdPath("system.slice:docker"));
  EXPECT_FALSE(IsSystemdPath("system.slice:docker:a:b"));
  EXPECT_FALSE(IsSystemdPath("/default/c"));
}

TEST(SystemdUnitTest, ASliceIsWithinThoseOfItsPrefixes) {
  const auto unit = ParseSystemdPath("kubepods-burstable-pod1.slice:cri-containerd:abc");
  ASSERT_TRUE(unit.ok()) << unit.status();
  EXPECT_EQ(unit->slice, "kubepods-burstable-pod1.slice");
  EXPECT_EQ(unit->unit, "cri-containerd-abc.scope");
  EXPECT_EQ(unit->path,
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/"
            "cri-containerd-abc.scope");
  EXPECT_EQ(ParseSystemdPath(":docker:abc")->path, "/system.slice/docker-abc.scope");
  EXPECT_EQ(ParseSystemdPath("-.slice::abc")->path, "/abc.scope");
}

TEST(SystemdUnitTest, NamesThatSystemdCannotHaveAreRefused) {
  for (const char* const path : {"a--b.slice:p:c", "-a.slice:p:c", "a-.slice:p:c", ".slice:p:c",
                                 "a.slice:p:", "a.slice:p", "b:p:c"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseSystemdPath(path).status())) << path;
  }
  EXPECT_TRUE(absl::IsUnimplemented(ParseSystemdPath("a.slice:p:c.slice").status()));
}

TEST(SystemdUnitTest, LimitsArePropertiesToo) {
  const std::vector<UnitProperty> properties = LimitProperties({{"memory.max", "1000", ""},
                                                                {"memory.swap.max", "max", ""},
                                                                {"cpu.weight", "39", ""},
                                                                {"cpu.max", "12345 100000", ""},
                                                                {"pids.max", "7", ""},
                                                                {"cpuset.cpus", "0-1,9", ""},
                                                                {"io.max", "8:0 rbps=1", ""}});
  const std::vector<UnitProperty> expected = {
      {"MemoryMax", uint64_t{1000}},
      {"MemorySwapMax", UINT64_MAX},
      {"CPUWeight", uint64_t{39}},
      {"CPUQuotaPerSecUSec", uint64_t{130000}},  // 123450, in steps of a hundredth of a CPU
      {"CPUQuotaPeriodUSec", uint64_t{100000}},
      {"TasksMax", uint64_t{7}},
      {"AllowedCPUs", std::vector<uint8_t>{3, 2}}};
  EXPECT_EQ(properties, expected);
}

TEST(SystemdUnitTest, ALimitThatIsNoneIsLeftToTheKernelToRefuse) {
  EXPECT_TRUE(LimitProperties({{"memory.max", "lots", ""},
                               {"cpu.max", "x y", ""},
                               {"cpuset.cpus", "0-99999999", ""},
                               {"cpuset.cpus", "a", ""}})
                  .empty());
  EXPECT_EQ(LimitProperties({{"cpu.max", "max", ""}}),
            (std::vector<UnitProperty>{{"CPUQuotaPerSecUSec", UINT64_MAX}}));
}

}  // namespace
}  // namespace gantry::runtime
