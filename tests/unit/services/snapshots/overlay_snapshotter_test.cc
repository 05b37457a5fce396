#include "services/snapshots/overlay_snapshotter.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "services/snapshots/overlay_probe.h"

namespace gantry::snapshots {
namespace {

class OverlaySnapshotterTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen(const OverlayOptions& options = {}) {
    snapshotter_.reset();
    store_.reset();
    store_ = *metadata::Store::Open(dir_.path() + "/meta", {64 << 20});
    snapshotter_ = *OverlaySnapshotter::Open(Root(), *store_, options);
  }
  std::string Root() { return dir_.path() + "/snapshots"; }
  void Committed(const std::string& name, const std::string& parent = "") {
    ASSERT_TRUE(snapshotter_->Prepare(scope_, "making-" + name, parent, {}).ok());
    ASSERT_TRUE(snapshotter_->Commit(scope_, name, "making-" + name, {}).ok());
  }
  TempDir dir_ = *TempDir::Create("gantry-snapshots-test-");
  const Scope scope_{"ns", ""};
  std::unique_ptr<metadata::Store> store_;
  std::unique_ptr<OverlaySnapshotter> snapshotter_;
};

TEST_F(OverlaySnapshotterTest, MountsHaveTheShapeThatClientsKnow) {
  const auto alone = *snapshotter_->Prepare(scope_, "a", "", {});
  EXPECT_EQ(alone[0].type, "bind");
  EXPECT_EQ(alone[0].options, (std::vector<std::string>{"rw", "rbind"}));
  ASSERT_TRUE(snapshotter_->Commit(scope_, "base", "a", {}).ok());
  const auto view = *snapshotter_->View(scope_, "v", "base", {});
  EXPECT_EQ(view[0].type, "bind");
  EXPECT_EQ(view[0].source, alone[0].source);
  EXPECT_EQ(view[0].options[0], "ro");
  Committed("second", "base");
  const auto deep = *snapshotter_->Prepare(scope_, "w", "second", {});
  EXPECT_EQ(deep[0].type, "overlay");
  const std::string lower = deep[0].options.back();
  EXPECT_EQ(lower.substr(0, 9), "lowerdir=");
  EXPECT_EQ(lower.substr(lower.size() - alone[0].source.size()), alone[0].source)
      << "the oldest comes last";
  EXPECT_EQ(*snapshotter_->Mounts(scope_, "w"), deep);
}

TEST_F(OverlaySnapshotterTest, TheUpperDirectoryHasItsParentsOwner) {
  const auto mounts = *snapshotter_->Prepare(scope_, "a", "", {});
  ASSERT_EQ(::chown(mounts[0].source.c_str(), 1234, 5678), 0);
  ASSERT_TRUE(snapshotter_->Commit(scope_, "base", "a", {}).ok());
  const auto child = *snapshotter_->Prepare(scope_, "w", "base", {});
  std::string upper;
  for (const std::string& option : child[0].options) {
    if (option.substr(0, 9) == "upperdir=") upper = option.substr(9);
  }
  struct stat st {};
  ASSERT_EQ(::stat(upper.c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 1234u);
  EXPECT_EQ(st.st_gid, 5678u);
}

TEST_F(OverlaySnapshotterTest, TheUpperDirectoryBelongsToTheRootOfMappedIds) {
  const Labels labels = {{"containerd.io/snapshot/uidmapping", "0:70000:1000,1000:90000:10"},
                         {"containerd.io/snapshot/gidmapping", "0:80000:1000"}};
  const auto mounts = *snapshotter_->Prepare(scope_, "w", "", labels);
  struct stat st {};
  ASSERT_EQ(::stat(mounts[0].source.c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 70000u);
  EXPECT_EQ(st.st_gid, 80000u);
  for (const char* bad : {"", "0:1", "1:2:3", "0:x:5", "0:1:0"}) {
    Labels broken = labels;
    broken["containerd.io/snapshot/gidmapping"] = bad;
    const auto refused = snapshotter_->Prepare(scope_, "x", "", broken);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(refused.status().message().find("gidmapping"), absl::string_view::npos) << bad;
  }
  EXPECT_FALSE(snapshotter_->Stat(scope_, "x").ok());
}

TEST_F(OverlaySnapshotterTest, MappedIdsAreMountOptionsWhereThereIsSomethingToMap) {
  if (!CanMapIds(Root())) GTEST_SKIP() << "needs Linux 5.19 and a file system that maps ids";
  const Labels labels = {{"containerd.io/snapshot/uidmapping", "0:100000:65536"},
                         {"containerd.io/snapshot/gidmapping", "0:200000:65536"}};
  const std::vector<std::string> maps = {"uidmap=0:100000:65536", "gidmap=0:200000:65536"};
  const auto first_two = [](const std::vector<Mount>& mounts) {
    return std::vector<std::string>(mounts[0].options.begin(), mounts[0].options.begin() + 2);
  };
  const auto image = *snapshotter_->Prepare(scope_, "image", "", {});
  ASSERT_TRUE(snapshotter_->Commit(scope_, "base", "image", {}).ok());
  const auto plain = *snapshotter_->Prepare(scope_, "active", "base", labels);
  EXPECT_NE(first_two(plain), maps) << "clients of containerd 1.6 could not mount it";
  EXPECT_EQ(*snapshotter_->IdMapOf(scope_, "active"), maps);
  EXPECT_TRUE(absl::IsNotFound(snapshotter_->IdMapOf(scope_, "nothing").status()));
  Reopen({.maps_in_mounts = true});
  const auto active = *snapshotter_->Mounts(scope_, "active");
  EXPECT_EQ(active[0].type, "overlay");
  EXPECT_EQ(first_two(active), maps);
  const auto view = *snapshotter_->View(scope_, "view", "base", labels);
  EXPECT_EQ(view[0].type, "bind");
  EXPECT_EQ(first_two(view), maps);
  // What is written into it has the host's ids from the start.
  const auto alone = *snapshotter_->Prepare(scope_, "alone", "", labels);
  EXPECT_EQ(alone[0].options, (std::vector<std::string>{"rw", "rbind"}));
  // A client that changes owners itself, and gives the labels all the same.
  ASSERT_EQ(::chown(image[0].source.c_str(), 100000, 200000), 0);
  EXPECT_TRUE(snapshotter_->IdMapOf(scope_, "active")->empty());
}

TEST_F(OverlaySnapshotterTest, ClientsAreToldWhetherToChangeOwners) {
  const std::vector<std::string> maps =
      CanMapIds(Root()) ? std::vector<std::string>{"remap-ids"} : std::vector<std::string>();
  std::vector<std::string> only = maps;
  only.emplace_back("only-remap-ids");
  EXPECT_EQ(snapshotter_->Capabilities(), only);
  Reopen({.slow_chown = true});
  EXPECT_EQ(snapshotter_->Capabilities(), maps);
}

TEST_F(OverlaySnapshotterTest, ASnapshotThatHoldsNoFileIsRemovedWithWhatAMountHasLeft) {
  Committed("base");
  ASSERT_TRUE(snapshotter_->Prepare(scope_, "empty", "base", {}).ok());
  ASSERT_TRUE(snapshotter_->View(scope_, "view", "base", {}).ok());
  const std::vector<std::string> before = *ListDirectory(Root());
  // What a mount has left in it.
  ASSERT_TRUE(MakeDirectories(absl::StrCat(Root(), "/", before[1], "/work/work")).ok());
  ASSERT_TRUE(snapshotter_->Remove(scope_, "empty").ok());
  ASSERT_TRUE(snapshotter_->Remove(scope_, "view").ok());
  ASSERT_TRUE(snapshotter_->Cleanup().ok());
  EXPECT_EQ(*ListDirectory(Root()), std::vector<std::string>{before[0]});
}

TEST_F(OverlaySnapshotterTest, ASnapshotThatAPowerCutHasLeftHalfMadeIsDropped) {
  Committed("base");
  ASSERT_TRUE(snapshotter_->Prepare(scope_, "half", "base", {}).ok());
  ASSERT_TRUE(snapshotter_->Prepare(scope_, "whole", "base", {}).ok());
  const std::string half = absl::StrCat(Root(), "/", (*ListDirectory(Root()))[1]);
  ASSERT_TRUE(RemoveTree(half + "/fs").ok());
  Reopen();
  EXPECT_FALSE(snapshotter_->Stat(scope_, "half").ok());
  EXPECT_TRUE(snapshotter_->Stat(scope_, "whole").ok());
  ASSERT_TRUE(snapshotter_->Cleanup().ok());
  EXPECT_EQ(ListDirectory(Root())->size(), 2u);
}

TEST_F(OverlaySnapshotterTest, AModeIsWhatItIsToBeWhateverTheMask) {
  const mode_t mask = ::umask(0077);
  const auto mounts = snapshotter_->Prepare(scope_, "top", "", {});
  ::umask(mask);
  ASSERT_TRUE(mounts.ok()) << mounts.status();
  struct stat st {};
  ASSERT_EQ(::stat((*mounts)[0].source.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode, mode_t{S_IFDIR | 0755});
}

TEST_F(OverlaySnapshotterTest, MountOptionsOfTheConfigurationAreInEveryOverlay) {
  Reopen({.mount_options = {"xino=off"}});
  Committed("base");
  const auto mounts = *snapshotter_->Prepare(scope_, "w", "base", {});
  EXPECT_EQ(mounts[0].options[0], "xino=off");
  EXPECT_EQ(mounts[0].options[1], "index=off");
}

TEST_F(OverlaySnapshotterTest, MountOptionsThatCannotBeAreRefusedAtTheStart) {
  const auto open = [&](const char* option) {
    return OverlaySnapshotter::Open(dir_.path() + "/other", *store_, {.mount_options = {option}})
        .status();
  };
  EXPECT_EQ(open("no_such_option").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(open("no_such_option").message().find("no_such_option"), absl::string_view::npos);
  EXPECT_EQ(open("lowerdir=/etc").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(open("metacopy=on").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(ListDirectory(dir_.path() + "/other")->empty());
}

TEST_F(OverlaySnapshotterTest, TheUpperDirectoryIsToldOnRequest) {
  constexpr char kLabel[] = "containerd.io/snapshot/overlay.upperdir";
  Committed("base");
  EXPECT_EQ(snapshotter_->Stat(scope_, "base")->labels.count(kLabel), 0u);
  Reopen({.upperdir_label = true});
  const auto mounts = *snapshotter_->View(scope_, "v", "base", {});
  EXPECT_EQ(snapshotter_->Stat(scope_, "base")->labels.at(kLabel), mounts[0].source);
  EXPECT_EQ(snapshotter_->List(scope_, {})->front().labels.count(kLabel), 1u);
  Info info;
  info.name = "base";
  info.labels = {{"k", "v"}};
  EXPECT_EQ(snapshotter_->Update(scope_, info, {})->labels.count(kLabel), 1u);
  Reopen();
  EXPECT_EQ(snapshotter_->Stat(scope_, "base")->labels, info.labels) << "told, not stored";
}

TEST_F(OverlaySnapshotterTest, MoreLayersThanTheKernelTakesAreRefused) {
  // Records alone: to commit as many takes as many syncs.
  const absl::Status written = store_->Update([&](metadata::Writer& writer) {
    for (uint64_t i = 0; i < 501; ++i) {
      Record record{.id = 1000 + i, .children = 1};
      record.info.name = absl::StrCat("l", i);
      record.info.parent = i == 0 ? "" : absl::StrCat("l", i - 1);
      record.info.kind = Kind::kCommitted;
      GANTRY_RETURN_IF_ERROR(
          writer.Put("snapshots/overlayfs", scope_.ns, record.info.name, Encode(record)));
    }
    return absl::OkStatus();
  });
  ASSERT_TRUE(written.ok()) << written;
  ASSERT_TRUE(MakeDirectories(absl::StrCat(Root(), "/1499/fs")).ok());
  EXPECT_TRUE(snapshotter_->Prepare(scope_, "fits", "l499", {}).ok());
  const auto refused = snapshotter_->Prepare(scope_, "deep", "l500", {});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(refused.status().message().find("501 layers"), absl::string_view::npos);
}

}  // namespace
}  // namespace gantry::snapshots
