#include "services/tasks/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temp_dir.h"

namespace gantry::tasks {
namespace {

TEST(BundleTest, AnAddressComesBackAsItWasWritten) {
  const TempDir dir = *TempDir::Create("gantry-bundle-");
  ASSERT_TRUE(WriteAddress(dir.path(),
                           {.socket = "/run/s/1", .pid = 42, .start_time = 99, .boot_id = "boot"})
                  .ok());
  const absl::StatusOr<ShimAddress> address = ReadAddress(dir.path());
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_EQ(address->socket, "/run/s/1");
  EXPECT_EQ(address->pid, 42);
  EXPECT_EQ(address->start_time, 99u);
  EXPECT_EQ(address->boot_id, "boot");
}

TEST(BundleTest, AnAddressThatMakesNoSenseIsDataLoss) {
  const TempDir dir = *TempDir::Create("gantry-bundle-");
  EXPECT_TRUE(absl::IsNotFound(ReadAddress(dir.path()).status()));
  for (const char* text :
       {"", "[]", "{}", R"({"address":"x","pid":1})", R"({"address":"unix:///s","pid":"1"})"}) {
    ASSERT_TRUE(
        WriteFileAtomic(dir.path() + "/bootstrap.json", text, 0600, Durability::kNotDurable).ok());
    EXPECT_TRUE(absl::IsDataLoss(ReadAddress(dir.path()).status())) << text;
  }
}

TEST(BundleTest, TheSocketsNameIsShortStableAndTheTasksOwn) {
  const Bundles bundles("/run/gantry");
  const std::string id(76, 'x');
  EXPECT_LT(bundles.SocketPath(id, id).size(), 40u);
  EXPECT_EQ(bundles.SocketPath("a", "b"), Bundles("/run/gantry").SocketPath("a", "b"));
  EXPECT_NE(bundles.SocketPath("a", "b"), bundles.SocketPath("b", "a"));
}

TEST(BundleTest, CreateReplacesWhatACrashLeft) {
  const TempDir dir = *TempDir::Create("gantry-bundle-");
  const Bundles bundles(dir.path());
  const std::string path = *bundles.Create("n", "i", "{1}");
  ASSERT_TRUE(WriteFileAtomic(path + "/init.pid", "7", 0600, Durability::kNotDurable).ok());
  EXPECT_EQ(ReadInitPid(path), 7u);
  ASSERT_TRUE(bundles.Create("n", "i", "{2}").ok());
  EXPECT_EQ(ReadInitPid(path), 0u);
  EXPECT_EQ(*ReadFile(path + "/config.json"), "{2}");
  EXPECT_EQ(bundles.List()->size(), 1u);
  ASSERT_TRUE(bundles.Remove("n", "i").ok());
  EXPECT_TRUE(bundles.List()->empty());
}

TEST(BundleTest, ADiscardedBundleMakesRoomAtOnceAndIsListed) {
  const TempDir dir = *TempDir::Create("gantry-bundle-");
  const Bundles bundles(dir.path());
  ASSERT_TRUE(bundles.Create("n", "i", "{1}").ok());
  const std::string away = *bundles.Discard("n", "i");
  EXPECT_TRUE(bundles.List()->empty());
  EXPECT_EQ(*ReadFile(away + "/config.json"), "{1}");
  ASSERT_TRUE(bundles.Create("n", "i", "{2}").ok());
  EXPECT_EQ(bundles.ListDiscarded(), std::vector<std::string>{away});
  EXPECT_EQ(bundles.List()->size(), 1u);
  EXPECT_EQ(*bundles.Discard("n", "other"), "");
}

TEST(BundleTest, TheCgroupsPathIsReadFromTheSpec) {
  EXPECT_EQ(*CgroupsPathOf(R"({"linux":{"cgroupsPath":"/a/b"}})"), "/a/b");
  EXPECT_EQ(*CgroupsPathOf(R"({"linux":{"cgroupsPath":3}})"), "");
  EXPECT_EQ(*CgroupsPathOf("{}"), "");
  EXPECT_TRUE(absl::IsInvalidArgument(CgroupsPathOf("[]").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(CgroupsPathOf("").status()));
}

TEST(BundleTest, AProcessIsToldByItsStartTime) {
  EXPECT_EQ(*StartTimeOf(::getpid()), *StartTimeOf(::getpid()));
  EXPECT_GE(*StartTimeOf(::getpid()), *StartTimeOf(1));
  EXPECT_FALSE(StartTimeOf(1 << 30).ok());
  EXPECT_EQ(BootId()->size(), 36u);
}

}  // namespace
}  // namespace gantry::tasks
