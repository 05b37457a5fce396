#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "absl/strings/str_join.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/path.h"
#include "base/temp_dir.h"
#include "layer_builder.h"
#include "services/diff/legacy_overlay.h"

namespace gantry::diff {
namespace {

class ApplyLayerTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"root", "lower", "upper", "work"}) {
      ASSERT_TRUE(MakeDirectories(At(name)).ok());
    }
  }
  [[nodiscard]] std::string At(absl::string_view name) const {
    return absl::StrCat(dir_.path(), "/", name);
  }
  struct stat Stat(absl::string_view name) {
    struct stat st {};
    EXPECT_EQ(::lstat(At(name).c_str(), &st), 0) << name;
    return st;
  }
  bool Exists(absl::string_view name) { return ::access(At(name).c_str(), F_OK) == 0; }
  std::vector<Mount> Overlay() {
    return {Mount{"overlay",
                  "overlay",
                  {"index=off", "workdir=" + At("work"), "upperdir=" + At("upper"),
                   "lowerdir=" + At("lower")}}};
  }
  TempDir dir_ = *TempDir::Create("gantry-apply-test-");
};

TEST_F(ApplyLayerTest, FilesHaveTheirDataModeOwnerAndTime) {
  const std::string layer = LayerBuilder()
                                .Directory("etc", 0750)
                                .Add("etc/f", S_IFREG | 04755, "data",
                                     [](archive_entry* e) {
                                       ::archive_entry_set_uid(e, 12345);
                                       ::archive_entry_set_gid(e, 54321);
                                     })
                                .Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(applied->digest, Sha256(layer));
  EXPECT_EQ(applied->size_bytes, static_cast<int64_t>(layer.size()));
  const struct stat file = Stat("root/etc/f");
  EXPECT_EQ(file.st_mode, mode_t{S_IFREG | 04755});
  EXPECT_EQ(file.st_uid, 12345u);
  EXPECT_EQ(file.st_gid, 54321u);
  EXPECT_EQ(file.st_mtim.tv_sec, 1000000000);
  EXPECT_EQ(*ReadFile(At("root/etc/f")), "data");
  const struct stat directory = Stat("root/etc");
  EXPECT_EQ(directory.st_mode, mode_t{S_IFDIR | 0750});
  EXPECT_EQ(directory.st_mtim.tv_sec, 1000000000) << "set after its files were made";
}

TEST_F(ApplyLayerTest, LinksDevicesAndXattrsAreMade) {
  const std::string layer =
      LayerBuilder()
          .File("a", "x")
          .Hardlink("b", "a")
          .Symlink("c", "../../a")
          .Device("zero", S_IFCHR, makedev(1, 5))
          .Add("pipe", S_IFIFO | 0640)
          .Add("x", S_IFREG | 0644, "",
               [](archive_entry* e) {
                 ::archive_entry_xattr_add_entry(e, "user.k", "v", 1);
                 ::archive_entry_xattr_add_entry(e, "trusted.overlay.opaque", "y", 1);
               })
          .Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(Stat("root/a").st_ino, Stat("root/b").st_ino);
  EXPECT_TRUE(S_ISLNK(Stat("root/c").st_mode));
  EXPECT_EQ(Stat("root/zero").st_rdev, makedev(1, 5));
  EXPECT_EQ(Stat("root/pipe").st_mode, mode_t{S_IFIFO | 0640});
  char value[8];
  EXPECT_EQ(::getxattr(At("root/x").c_str(), "user.k", value, sizeof value), 1);
  EXPECT_EQ(::getxattr(At("root/x").c_str(), "trusted.overlay.opaque", value, sizeof value), -1)
      << "overlayfs keeps this one for itself";
}

TEST_F(ApplyLayerTest, NamesThatAreNotUtf8Survive) {
  const std::string layer = LayerBuilder().File("d/\xff\xfe-\xc3\xa4", "x").Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_TRUE(Exists("root/d/\xff\xfe-\xc3\xa4"));
}

TEST_F(ApplyLayerTest, WhiteoutsOnAnOverlayHideTheLowerLayer) {
  ASSERT_TRUE(MakeDirectories(At("lower/dir/sub")).ok());
  ASSERT_TRUE(MakeDirectories(At("lower/opaque")).ok());
  for (const char* name : {"lower/gone", "lower/kept", "lower/dir/f", "lower/opaque/old"}) {
    ASSERT_TRUE(WriteFileAtomic(At(name), "x", 0644, Durability::kNotDurable).ok());
  }
  const std::string layer = LayerBuilder()
                                .File(".wh.gone", "")
                                .File(".wh.dir", "")
                                .Directory("opaque")
                                .File("opaque/new", "n")
                                .File("opaque/.wh..wh..opq", "")
                                .Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Overlay());
  ASSERT_TRUE(applied.ok()) << applied.status();
  const struct stat whiteout = Stat("upper/gone");
  EXPECT_TRUE(S_ISCHR(whiteout.st_mode) && whiteout.st_rdev == 0);
  EXPECT_TRUE(S_ISCHR(Stat("upper/dir").st_mode));
  EXPECT_FALSE(Exists("upper/kept"));
  EXPECT_TRUE(Exists("upper/opaque/new"));
  const absl::StatusOr<UniqueFd> merged = OpenMountedTree(
      {Mount{"overlay", "overlay", {"index=off", "lowerdir=" + At("upper") + ":" + At("lower")}}});
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(::faccessat(merged->get(), "opaque/old", F_OK, 0), -1);
  EXPECT_EQ(::faccessat(merged->get(), "opaque/new", F_OK, 0), 0);
  EXPECT_EQ(::faccessat(merged->get(), "kept", F_OK, 0), 0);
}

TEST_F(ApplyLayerTest, AWriteThroughALinkOfALowerLayerGoesWhereTheContainerWillSeeIt) {
  ASSERT_TRUE(MakeDirectories(At("lower/usr/lib")).ok());
  ASSERT_EQ(::symlink("usr/lib", At("lower/lib").c_str()), 0);
  const absl::StatusOr<Applied> applied =
      Apply(LayerBuilder().File("lib/new.so", "elf").Finish(), Overlay());
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_TRUE(Exists("upper/usr/lib/new.so"));
  EXPECT_FALSE(Exists("upper/lib"));
}

TEST_F(ApplyLayerTest, ALaterEntryReplacesAnEarlierOneWhateverItsType) {
  const std::string layer = LayerBuilder()
                                .Directory("a")
                                .File("a/f", "1")
                                .File("a", "now a file")
                                .File("b", "file")
                                .Directory("b")
                                .File("b/inside", "2")
                                .Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(*ReadFile(At("root/a")), "now a file");
  EXPECT_EQ(*ReadFile(At("root/b/inside")), "2");
}

TEST_F(ApplyLayerTest, AnEntryBelowADirectoryThatWasReplacedIsNotWrittenIntoTheOldOne) {
  const std::string layer = LayerBuilder()
                                .Directory("top/a")
                                .File("top/a/f", "1")
                                .File("top/.wh.a", "")
                                .File("top/a/g", "2")
                                .Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_FALSE(Exists("root/top/a/f"));
  EXPECT_EQ(*ReadFile(At("root/top/a/g")), "2");
}

TEST_F(ApplyLayerTest, AnOpaqueMarkSparesWhatItsLayerMadeHoweverTheEntriesAreOrdered) {
  ASSERT_TRUE(MakeDirectories(At("root/there/old")).ok());
  const std::string layer = LayerBuilder()
                                .File("there/mine", "")
                                .Directory("new")
                                .File("new/mine", "")
                                .File("elsewhere", "")
                                .File("there/.wh..wh..opq", "")
                                .File("new/.wh..wh..opq", "")
                                .File("there/later", "")
                                .Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(*ListDirectory(At("root/there")), (std::vector<std::string>{"later", "mine"}));
  EXPECT_EQ(*ListDirectory(At("root/new")), std::vector<std::string>{"mine"});
}

TEST_F(ApplyLayerTest, ADirectoryKeepsItsTimeHoweverOftenTheLayerComesBackToIt) {
  const std::string layer = LayerBuilder()
                                .Directory("a")
                                .Directory("b")
                                .File("a/x", "")
                                .File("b/x", "")
                                .File("a/sub/deep/y", "")
                                .File("b/y", "")
                                .Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(Stat("root/a").st_mtim.tv_sec, 1000000000);
  EXPECT_EQ(Stat("root/a").st_mtim.tv_nsec, 5);
  EXPECT_EQ(Stat("root/b").st_mtim.tv_sec, 1000000000);
}

TEST_F(ApplyLayerTest, WhatIsMadeInADirectoryInheritsNothingFromIt) {
  // user::rwx, user:1234:rwx, group::r-x, mask::rwx, other::---
  const std::string acl(
      "\x02\0\0\0\x01\0\x07\0\xff\xff\xff\xff\x02\0\x07\0\xd2\x04\0\0\x04\0\x05\0\xff\xff\xff\xff"
      "\x10\0\x07\0\xff\xff\xff\xff\x20\0\0\0\xff\xff\xff\xff",
      44);
  const std::string layer = LayerBuilder()
                                .Add("d", S_IFDIR | 02775, "",
                                     [&](archive_entry* e) {
                                       ::archive_entry_set_gid(e, 77);
                                       ::archive_entry_xattr_add_entry(
                                           e, "system.posix_acl_default", acl.data(), acl.size());
                                     })
                                .File("d/f", "x", 0604)
                                .Directory("d/sub", 0705)
                                .File("other", "x")
                                .File("d/late", "x", 0604)
                                .Finish();
  const absl::StatusOr<Applied> applied = Apply(layer, Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  for (const char* name : {"root/d/f", "root/d/late", "root/d/sub"}) {
    const struct stat st = Stat(name);
    EXPECT_EQ(st.st_mode & 07777, S_ISDIR(st.st_mode) ? 0705u : 0604u) << name;
    EXPECT_EQ(st.st_gid, 0u) << name;
    EXPECT_EQ(::getxattr(At(name).c_str(), "system.posix_acl_access", nullptr, 0), -1) << name;
    EXPECT_EQ(::getxattr(At(name).c_str(), "system.posix_acl_default", nullptr, 0), -1) << name;
  }
  EXPECT_EQ(Stat("root/d").st_mode, mode_t{S_IFDIR | 02775});
  EXPECT_EQ(::getxattr(At("root/d").c_str(), "system.posix_acl_default", nullptr, 0), 44);
}

TEST_F(ApplyLayerTest, MoreOpenDirectoriesThanAreHeldAreFoundAgain) {
  std::string deep;
  LayerBuilder builder;
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&deep, i == 0 ? "" : "/", i % 10);
    builder.Directory(deep);
  }
  builder.File(deep + "/f", "bottom").File("0/1/f", "top");
  const absl::StatusOr<Applied> applied = Apply(builder.Finish(), Bind(At("root")));
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_EQ(*ReadFile(At("root/" + deep + "/f")), "bottom");
  for (const char* name : {"root/0", "root/0/1", "root/0/1/2/3/4/5/6/7/8/9"}) {
    EXPECT_EQ(Stat(name).st_mtim.tv_sec, 1000000000) << name;
  }
}

TEST_F(ApplyLayerTest, AnEmptyLayerIsALayer) {
  EXPECT_TRUE(Apply(LayerBuilder().Finish(), Bind(At("root"))).ok());
  EXPECT_TRUE(Apply("", Bind(At("root"))).ok());
}

TEST_F(ApplyLayerTest, SixtyLowerDirectoriesOpen) {
  std::string lower;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(MakeDirectories(At(absl::StrCat("l", i))).ok());
    absl::StrAppend(&lower, i == 0 ? "" : ":", At(absl::StrCat("l", i)));
  }
  const absl::StatusOr<UniqueFd> tree =
      OpenMountedTree({Mount{"overlay", "overlay", {"index=off", "lowerdir=" + lower}}});
  EXPECT_TRUE(tree.ok()) << tree.status();
}

TEST_F(ApplyLayerTest, MappedIdsAreThoseOfContainersAndNotOfTheTree) {
  ASSERT_TRUE(MakeDirectories(At("a")).ok());
  ASSERT_TRUE(MakeDirectories(At("b")).ok());
  const Mount mount{
      "overlay",
      "overlay",
      {"uidmap=0:100000:65536", "gidmap=0:100000:65536", "lowerdir=" + At("a") + ":" + At("b")}};
  for (const absl::StatusOr<UniqueFd>& tree :
       {OpenMountedTree({mount}), OpenLegacyOverlay(mount)}) {
    ASSERT_TRUE(tree.ok()) << tree.status();
    struct stat st {};
    ASSERT_EQ(::fstat(tree->get(), &st), 0);
    EXPECT_EQ(st.st_uid, 0u);
  }
}

TEST_F(ApplyLayerTest, TheyOpenTooWhereTheKernelTakesOneStringAndNothingIsMountedOnTheHost) {
  std::vector<std::string> layers;
  for (int i = 0; i < 60; ++i) {
    layers.push_back(At(absl::StrCat("layers/", i, "/fs")));
    ASSERT_TRUE(MakeDirectories(layers.back()).ok());
    ASSERT_TRUE(
        WriteFileAtomic(absl::StrCat(layers.back(), "/f", i), "x", 0644, Durability::kNotDurable)
            .ok());
  }
  const std::string before = *ReadFile("/proc/self/mountinfo");
  const absl::StatusOr<UniqueFd> tree =
      OpenLegacyOverlay(Mount{"overlay",
                              "overlay",
                              {"index=off", "workdir=" + At("work"), "upperdir=" + At("upper"),
                               "lowerdir=" + absl::StrJoin(layers, ":")}});
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_EQ(*ReadFile("/proc/self/mountinfo"), before);
  EXPECT_EQ(::faccessat(tree->get(), "f59", F_OK, 0), 0);
  ASSERT_TRUE(OpenFileAt(tree->get(), "new", O_CREAT | O_WRONLY, 0644).ok());
  EXPECT_TRUE(Exists("upper/new"));
  EXPECT_EQ(*ReadFile(layers[0] + "/f0"), "x") << "the layers are where they were";
}

TEST_F(ApplyLayerTest, AnOverlayThatCannotBeIsRefusedWithTheKernelsWord) {
  const absl::StatusOr<UniqueFd> tree =
      OpenMountedTree({Mount{"overlay", "overlay", {"lowerdir=/no/such/directory"}}});
  ASSERT_FALSE(tree.ok());
  EXPECT_NE(tree.status().message().find("/no/such/directory"), absl::string_view::npos);
  EXPECT_EQ(OpenMountedTree({Mount{"ext4", "/dev/sda", {}}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenMountedTree({}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ApplyLayerTest, AnErrorAtAnyEntryIsToldWithItsName) {
  const std::string layer =
      LayerBuilder().Directory("d").File("d/f", "x").Symlink("d/l", "f").Finish();
  const char* const names[] = {"\"d/\"", "\"d/f\"", "\"d/l\""};
  for (int nth = 1; nth <= 3; ++nth) {
    ASSERT_TRUE(ArmFault("diff.apply.entry", "ENOSPC", nth).ok());
    const absl::Status failed = Apply(layer, Bind(At("root"))).status();
    EXPECT_TRUE(absl::IsResourceExhausted(failed)) << failed;
    EXPECT_NE(failed.message().find(names[nth - 1]), absl::string_view::npos) << failed;
  }
  ASSERT_TRUE(ArmFault("diff.apply.finish", "EIO", 1).ok());
  EXPECT_FALSE(Apply(layer, Bind(At("root"))).ok());
  DisarmFaults();
  EXPECT_TRUE(Apply(layer, Bind(At("root"))).ok()) << "over what the failed ones have left";
}

TEST_F(ApplyLayerTest, AFullDiskIsToldWithTheEntryThatItIsFullFor) {
  const UniqueFd context(::fsopen("tmpfs", FSOPEN_CLOEXEC));
  ASSERT_EQ(::fsconfig(context.get(), FSCONFIG_SET_STRING, "size", "1m", 0), 0);
  ASSERT_EQ(::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0), 0);
  const UniqueFd small(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  ASSERT_TRUE(small.valid());
  const std::string layer =
      LayerBuilder().File("fits", "x").File("large", std::string(4 << 20, 'x')).Finish();
  const absl::Status failed = Apply(layer, Bind(FdPath(small.get()))).status();
  EXPECT_TRUE(absl::IsResourceExhausted(failed)) << failed;
  EXPECT_NE(failed.message().find("\"large\""), absl::string_view::npos) << failed;
  EXPECT_NE(failed.message().find("No space left"), absl::string_view::npos) << failed;
}

}  // namespace
}  // namespace gantry::diff
