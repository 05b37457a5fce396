#include "services/snapshots/native_snapshotter.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temp_dir.h"
#include "services/snapshots/tree_copy.h"

namespace gantry::snapshots {
namespace {

class NativeSnapshotterTest : public testing::Test {
 protected:
  [[nodiscard]] std::string At(absl::string_view name) const {
    return absl::StrCat(dir_.path(), "/", name);
  }
  struct stat Stat(absl::string_view name) const {
    struct stat st {};
    EXPECT_EQ(::lstat(At(name).c_str(), &st), 0) << name;
    return st;
  }
  void Put(absl::string_view name, absl::string_view data) {
    ASSERT_TRUE(WriteFileAtomic(At(name), data, 0644, Durability::kNotDurable).ok());
  }
  TempDir dir_ = *TempDir::Create("gantry-native-test-");
  std::unique_ptr<metadata::Store> store_ = *metadata::Store::Open(At("meta"), {64 << 20});
  std::unique_ptr<NativeSnapshotter> snapshotter_ = *NativeSnapshotter::Open(At("root"), *store_);
  const Scope scope_{"ns", ""};
};

TEST_F(NativeSnapshotterTest, AChildIsACopyAndAViewIsTheParentItself) {
  const auto base = *snapshotter_->Prepare(scope_, "a", "", {});
  EXPECT_EQ(base[0].type, "bind");
  EXPECT_EQ(base[0].options, (std::vector<std::string>{"rw", "rbind"}));
  ASSERT_TRUE(WriteFileAtomic(base[0].source + "/f", "old", 0644, Durability::kNotDurable).ok());
  ASSERT_TRUE(snapshotter_->Commit(scope_, "base", "a", {}).ok());
  const auto view = *snapshotter_->View(scope_, "v", "base", {});
  EXPECT_EQ(view[0].source, base[0].source);
  EXPECT_EQ(view[0].options, (std::vector<std::string>{"ro", "rbind"}));
  const auto child = *snapshotter_->Prepare(scope_, "w", "base", {});
  EXPECT_NE(child[0].source, base[0].source);
  ASSERT_TRUE(WriteFileAtomic(child[0].source + "/f", "new", 0644, Durability::kNotDurable).ok());
  EXPECT_EQ(*ReadFile(base[0].source + "/f"), "old");
  EXPECT_EQ(*snapshotter_->Mounts(scope_, "w"), child);
  EXPECT_EQ(*snapshotter_->Mounts(scope_, "v"), view);
}

TEST_F(NativeSnapshotterTest, ACopyHasEverythingThatTheTreeHas) {
  ASSERT_TRUE(MakeDirectories(At("from/d/sub")).ok());
  ASSERT_TRUE(MakeDirectories(At("to")).ok());
  Put("from/d/f", "data");
  ASSERT_EQ(::link(At("from/d/f").c_str(), At("from/d/sub/g").c_str()), 0);
  ASSERT_EQ(::chown(At("from/d/f").c_str(), 12, 34), 0);
  ASSERT_EQ(::chmod(At("from/d/f").c_str(), 04751), 0);
  ASSERT_EQ(::setxattr(At("from/d/f").c_str(), "user.k", "v", 1, 0), 0);
  ASSERT_EQ(::setxattr(At("from/d").c_str(), "trusted.k", "v", 1, 0), 0);
  ASSERT_EQ(::symlink("nowhere", At("from/d/l").c_str()), 0);
  ASSERT_EQ(::mknod(At("from/d/zero").c_str(), S_IFCHR | 0622, makedev(1, 5)), 0);
  ASSERT_EQ(::mkfifo(At("from/d/pipe").c_str(), 0640), 0);
  {
    const UniqueFd sparse = *OpenFile(At("from/d/hole"), O_WRONLY | O_CREAT, 0600);
    ASSERT_EQ(::ftruncate(sparse.get(), 64 << 20), 0);
    ASSERT_EQ(::pwrite(sparse.get(), "x", 1, 32 << 20), 1);
  }
  const struct timespec times[2] = {{1, 2}, {123456789, 987654321}};
  ASSERT_EQ(::utimensat(AT_FDCWD, At("from/d/l").c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
  ASSERT_EQ(::utimensat(AT_FDCWD, At("from/d").c_str(), times, 0), 0);
  ASSERT_EQ(::chmod(At("from").c_str(), 0711), 0);

  const absl::Status copied = CopyTree(At("from"), At("to"));
  ASSERT_TRUE(copied.ok()) << copied;

  EXPECT_EQ(*ReadFile(At("to/d/sub/g")), "data");
  EXPECT_EQ(Stat("to/d/f").st_ino, Stat("to/d/sub/g").st_ino);
  EXPECT_NE(Stat("to/d/f").st_ino, Stat("from/d/f").st_ino);
  for (const char* name : {"", "/d", "/d/f", "/d/l", "/d/zero", "/d/pipe", "/d/hole", "/d/sub"}) {
    const struct stat from = Stat(absl::StrCat("from", name));
    const struct stat to = Stat(absl::StrCat("to", name));
    EXPECT_EQ(from.st_mode, to.st_mode) << name;
    EXPECT_EQ(from.st_uid, to.st_uid) << name;
    EXPECT_EQ(from.st_gid, to.st_gid) << name;
    EXPECT_EQ(from.st_rdev, to.st_rdev) << name;
    EXPECT_EQ(from.st_mtim.tv_sec, to.st_mtim.tv_sec) << name;
    EXPECT_EQ(from.st_mtim.tv_nsec, to.st_mtim.tv_nsec) << name;
  }
  char value[4];
  EXPECT_EQ(::getxattr(At("to/d/f").c_str(), "user.k", value, sizeof value), 1);
  EXPECT_EQ(::getxattr(At("to/d").c_str(), "trusted.k", value, sizeof value), 1);
  EXPECT_LT(Stat("to/d/hole").st_blocks, 1000) << "holes stay holes";
  EXPECT_EQ(Stat("to/d/hole").st_size, 64 << 20);
}

}  // namespace
}  // namespace gantry::snapshots
