#include "runtime/rootfs/mount_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

namespace gantry::runtime {
namespace {

TEST(MountOptionsTest, WordsAreSortedByWhoTakesThem) {
  const MountOptions options = ParseMountOptions(
      {"rbind", "ro", "nosuid", "rslave", "size=5", "mode=755", "defaults", "huge"});
  EXPECT_TRUE(options.bind);
  EXPECT_TRUE(options.recursive);
  EXPECT_EQ(options.attr_set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID});
  EXPECT_EQ(options.propagation, uint64_t{MS_SLAVE});
  EXPECT_TRUE(options.propagation_recursive);
  EXPECT_THAT(options.data, testing::ElementsAre("size=5", "mode=755", "huge"));
}

TEST(MountOptionsTest, TheLastWordWins) {
  const MountOptions options = ParseMountOptions({"ro", "rw", "noexec", "exec", "suid", "nosuid"});
  EXPECT_EQ(options.attr_set, uint64_t{MOUNT_ATTR_NOSUID});
  EXPECT_EQ(options.attr_clear, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC});
}

TEST(MountOptionsTest, TimesOfAccessReplaceEachOther) {
  const MountOptions options = ParseMountOptions({"noatime", "strictatime"});
  EXPECT_EQ(options.attr_set & MOUNT_ATTR__ATIME, uint64_t{MOUNT_ATTR_STRICTATIME});
  // The kernel wants the whole field cleared for any change of it.
  EXPECT_EQ(options.attr_clear & MOUNT_ATTR__ATIME, uint64_t{MOUNT_ATTR__ATIME});
}

TEST(MountOptionsTest, RecursiveWordsAreKeptApart) {
  const MountOptions options = ParseMountOptions({"rbind", "rro", "rnoexec"});
  EXPECT_EQ(options.attr_set, 0u);
  EXPECT_EQ(options.recursive_set, uint64_t{MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC});
  EXPECT_TRUE(options.data.empty());
}

}  // namespace
}  // namespace gantry::runtime
