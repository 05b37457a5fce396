#include "runtime/cgroup/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gantry::runtime {
namespace {

constexpr char kHybrid[] =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:4 - cgroup cgroup rw,memory\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "90 31 0:32 / /somewhere/else rw - cgroup cgroup rw,memory\n";

TEST(CgroupLayoutTest, AHybridHostHasItsV1HierarchiesAndTheTree) {
  const CgroupLayout layout = ParseCgroupLayout(
      kHybrid, "4:memory:/own:with:colons\n2:cpu,cpuacct:/\n1:name=systemd:/s\n0::/two\n");
  ASSERT_EQ(layout.v1.size(), 3U);
  EXPECT_THAT(layout.v1[0].controllers, testing::ElementsAre("cpu", "cpuacct"));
  EXPECT_EQ(layout.Find("memory")->mount_point, "/sys/fs/cgroup/memory");
  EXPECT_EQ(layout.Find("memory")->own_path, "/own:with:colons");
  EXPECT_EQ(layout.Find("name=systemd")->own_path, "/s");
  EXPECT_EQ(layout.unified_mount, "/sys/fs/cgroup/unified");
  EXPECT_EQ(layout.unified_own_path, "/two");
  EXPECT_FALSE(layout.unified_only());
  EXPECT_EQ(layout.Find("pids"), nullptr);
}

TEST(CgroupLayoutTest, NamedHierarchiesDoNotMakeAHostV1) {
  const CgroupLayout layout = ParseCgroupLayout(
      "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
      "40 31 0:37 / /run/cg/systemd rw - cgroup cgroup rw,name=systemd\n",
      "0::/user.slice\n");
  EXPECT_TRUE(layout.unified_only());
  EXPECT_EQ(layout.unified_mount, "/sys/fs/cgroup");
}

TEST(CgroupLayoutTest, AnOwnPathIsTakenBelowTheRootOfTheMount) {
  const CgroupLayout layout = ParseCgroupLayout(
      "35 31 0:32 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
      "4:memory:/docker/abc/sub\n");
  EXPECT_EQ(layout.Find("memory")->own_path, "/sub");
}

TEST(CgroupLayoutTest, LinesThatAreNoMountsAreLeftOut) {
  const CgroupLayout layout = ParseCgroupLayout("nonsense\n - cgroup\n1 2 3 4 5 - cgroup\n", "x\n");
  EXPECT_TRUE(layout.v1.empty());
  EXPECT_FALSE(layout.unified_only());
}

TEST(CgroupLayoutTest, PathsAreAbsoluteOrBelowTheOwnCgroupAndNeverOutside) {
  EXPECT_EQ(CgroupDirectory("/m", "/own", "/ns/id"), "/m/ns/id");
  EXPECT_EQ(CgroupDirectory("/m", "/own", "ns/id"), "/m/own/ns/id");
  EXPECT_EQ(CgroupDirectory("/m", "/own", "../../id"), "/m/own/id");
  EXPECT_EQ(CgroupDirectory("/m", "/", "/../../etc//./x/"), "/m/etc/x");
}

}  // namespace
}  // namespace gantry::runtime
