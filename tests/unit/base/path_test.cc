#include "base/path.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/errors.h"
#include "base/file.h"
#include "base/temp_dir.h"

namespace gantry {
namespace {

class PathTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(MakeDirectories(dir_.path() + "/root/etc").ok());
    root_ = *OpenFile(dir_.path() + "/root", O_PATH | O_DIRECTORY);
    ASSERT_TRUE(
        WriteFileAtomic(dir_.path() + "/secret", "host", 0600, Durability::kNotDurable).ok());
  }
  TempDir dir_ = *TempDir::Create("gantry-path-test-");
  UniqueFd root_;
};

TEST_F(PathTest, DotsAndLinksStayInTheRoot) {
  ASSERT_EQ(::symlinkat("/", root_.get(), "up"), 0);
  ASSERT_EQ(::symlinkat("../../..", root_.get(), "dots"), 0);
  for (const std::string path : {"../secret", "/../secret", "up/../secret", "dots/secret"}) {
    EXPECT_EQ(OpenInRoot(root_.get(), path, O_RDONLY).status().code(), absl::StatusCode::kNotFound)
        << path;
  }
}

TEST_F(PathTest, BeneathRefusesWhatLeaves) {
  EXPECT_EQ(OpenBeneath(root_.get(), "../secret", O_RDONLY).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenBeneath(root_.get(), "/etc", O_RDONLY).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(OpenBeneath(root_.get(), "etc", O_RDONLY).ok());
}

TEST_F(PathTest, MissingDirectoriesAreMadeBehindALinkInTheRoot) {
  ASSERT_EQ(::symlinkat("/etc", root_.get(), "link"), 0);
  ASSERT_TRUE(MakeDirectoriesInRoot(root_.get(), "/link/a/b", 0755).ok());
  EXPECT_TRUE(OpenInRoot(root_.get(), "etc/a/b", O_PATH).ok());
}

TEST(CleanPathTest, ResolvesByText) {
  EXPECT_EQ(CleanPath("/a//b/./c/../d/"), "/a/b/d");
  EXPECT_EQ(CleanPath("/../.."), "/");
  EXPECT_EQ(CleanPath("a/../.."), "..");
  EXPECT_EQ(CleanPath(""), ".");
  EXPECT_EQ(JoinPath("/a", "/../b"), "/b");
}

}  // namespace
}  // namespace gantry
