#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/temp_dir.h"

namespace gantry {
namespace {

class FileTest : public testing::Test {
 protected:
  std::string At(absl::string_view name) { return absl::StrCat(dir_.path(), "/", name); }
  TempDir dir_ = *TempDir::Create("gantry-file-test-");
};

TEST_F(FileTest, AnAtomicWriteReplacesAndLeavesNoTemporary) {
  ASSERT_TRUE(WriteFileAtomic(At("f"), "one", 0600, Durability::kDurable).ok());
  ASSERT_TRUE(WriteFileAtomic(At("f"), "two", 0600, Durability::kNotDurable).ok());
  EXPECT_EQ(*ReadFile(At("f")), "two");
  EXPECT_EQ(*ListDirectory(dir_.path()), std::vector<std::string>{"f"});
}

TEST_F(FileTest, AFileLongerThanTheBoundIsRefused) {
  ASSERT_TRUE(WriteFileAtomic(At("f"), std::string(100, 'x'), 0600, Durability::kNotDurable).ok());
  EXPECT_EQ(ReadFile(At("f"), 99).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReadFile(At("f"), 100)->size(), 100u);
}

TEST_F(FileTest, RemovingATreeDoesNotFollowLinks) {
  ASSERT_TRUE(MakeDirectories(At("keep/inner")).ok());
  ASSERT_TRUE(MakeDirectories(At("tree/a/b/c")).ok());
  ASSERT_EQ(::symlink(At("keep").c_str(), At("tree/a/link").c_str()), 0);
  ASSERT_TRUE(RemoveTree(At("tree")).ok());
  EXPECT_EQ(*ListDirectory(dir_.path()), std::vector<std::string>{"keep"});
  EXPECT_EQ(ListDirectory(At("keep"))->size(), 1u);
}

TEST_F(FileTest, RemovingATreeStopsAtAMount) {
  ASSERT_TRUE(MakeDirectories(At("tree/mnt")).ok());
  ASSERT_EQ(::mount("tmpfs", At("tree/mnt").c_str(), "tmpfs", 0, nullptr), 0);
  ASSERT_TRUE(WriteFileAtomic(At("tree/mnt/precious"), "x", 0600, Durability::kNotDurable).ok());
  EXPECT_EQ(RemoveTree(At("tree")).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(*ReadFile(At("tree/mnt/precious")), "x");
  ASSERT_EQ(::umount2(At("tree/mnt").c_str(), MNT_DETACH), 0);
  EXPECT_TRUE(RemoveTree(At("tree")).ok());
}

TEST_F(FileTest, RemovingWhatIsNotThereIsFine) { EXPECT_TRUE(RemoveTree(At("nothing")).ok()); }

TEST_F(FileTest, MakingDirectoriesOverAFileNamesIt) {
  ASSERT_TRUE(WriteFileAtomic(At("f"), "", 0600, Durability::kNotDurable).ok());
  const absl::Status status = MakeDirectories(At("f/g"));
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find(At("f")), absl::string_view::npos);
}

}  // namespace
}  // namespace gantry
