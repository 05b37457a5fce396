#include "services/snapshots/snapshot_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temp_dir.h"
#include "services/snapshots/overlay_snapshotter.h"
#include "services/snapshots/snapshot_backup.h"
#include "services/snapshots/snapshot_record.h"

namespace gantry::snapshots {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SnapshotCheckTest : public testing::Test {
 protected:
  SnapshotCheckTest() { Reopen(); }
  void Reopen() {
    snapshotter_.reset();
    snapshotter_ = *OverlaySnapshotter::Open(Root(), *store_);
  }
  std::string Root() { return dir_.path() + "/snapshots"; }
  // The directory that becomes the new snapshot's.
  std::string Prepared(const std::string& key, const std::string& parent = "") {
    EXPECT_TRUE(snapshotter_->Prepare(scope_, key, parent, {}).ok());
    return absl::StrCat(Root(), "/", RecordOf(key).id);
  }
  std::string Committed(const std::string& name, const std::string& parent = "") {
    const std::string directory = Prepared("making-" + name, parent);
    EXPECT_TRUE(snapshotter_->Commit(scope_, name, "making-" + name, {}).ok());
    return directory;
  }
  Record RecordOf(const std::string& name) {
    Record record;
    EXPECT_TRUE(store_
                    ->View([&](const metadata::Reader& reader) -> absl::Status {
                      const auto bytes = reader.Get("snapshots/overlayfs", "ns", name);
                      record = *Decode(name, **bytes);
                      return absl::OkStatus();
                    })
                    .ok());
    return record;
  }
  std::vector<std::string> Check(bool repair) {
    EXPECT_TRUE(snapshotter_->Cleanup().ok());
    findings_.clear();
    const auto count =
        CheckSnapshots(Root(), "overlayfs", *store_, {.repair = repair},
                       [this](const check::Finding& finding) { findings_.push_back(finding); });
    EXPECT_TRUE(count.ok()) << count.status();
    std::vector<std::string> lines;
    for (const check::Finding& finding : findings_) {
      lines.push_back(absl::StrCat(finding.kind, " ", finding.subject));
    }
    return lines;
  }

  TempDir dir_ = *TempDir::Create("gantry-snapshots-test-");
  const Scope scope_{"ns", ""};
  std::unique_ptr<metadata::Store> store_ = *metadata::Store::Open(dir_.path() + "/m", {64 << 20});
  std::unique_ptr<OverlaySnapshotter> snapshotter_;
  std::vector<check::Finding> findings_;
};

TEST_F(SnapshotCheckTest, SnapshotsThatAreWholeHaveNoDifferences) {
  Committed("base");
  Committed("top", "base");
  Prepared("work", "top");
  EXPECT_THAT(Check(false), IsEmpty());
}

TEST_F(SnapshotCheckTest, AnImageWithALayerGoneIsRemovedToBeUnpackedAgain) {
  Committed("base");
  const std::string middle = Committed("middle", "base");
  Committed("top", "middle");
  ASSERT_TRUE(RemoveTree(middle).ok());
  EXPECT_THAT(Check(false), ElementsAre("snapshot.missing middle"));
  EXPECT_THAT(Check(true), ElementsAre("snapshot.missing middle", "snapshot.children base",
                                       testing::StartsWith("snapshot.orphan ")));
  EXPECT_THAT(findings_[0].mended, HasSubstr("middle, top"));
  EXPECT_THAT(Check(true), IsEmpty());
  EXPECT_EQ(snapshotter_->List(scope_, {})->size(), 1u);
  EXPECT_TRUE(snapshotter_->Remove(scope_, "base").ok());
}

TEST_F(SnapshotCheckTest, WhatAContainerMayHaveWrittenIsNotThrownAway) {
  const std::string base = Committed("base");
  Prepared("container", "base");
  ASSERT_TRUE(RemoveTree(base).ok());
  EXPECT_THAT(Check(true), ElementsAre("snapshot.missing base"));
  EXPECT_EQ(findings_[0].mended, "");
  EXPECT_THAT(findings_[0].detail, HasSubstr("container"));
  EXPECT_TRUE(snapshotter_->Stat(scope_, "container").ok());
}

TEST_F(SnapshotCheckTest, WrongCountsAndDirectoriesWithoutARecordAreSetRight) {
  Committed("base");
  Prepared("work", "base");
  Record base = RecordOf("base");
  base.children = 7;
  ASSERT_TRUE(store_
                  ->Update([&](metadata::Writer& writer) {
                    return writer.Put("snapshots/overlayfs", "ns", "base", Encode(base));
                  })
                  .ok());
  ASSERT_TRUE(MakeDirectories(Root() + "/4711/fs").ok());
  EXPECT_THAT(Check(true),
              ElementsAre("snapshot.children base", "snapshot.orphan " + Root() + "/4711"));
  EXPECT_THAT(findings_[0].detail, HasSubstr("7 children, there are 1"));
  EXPECT_THAT(Check(false), IsEmpty());
}

TEST_F(SnapshotCheckTest, ABackupHasTheCommittedLayersWithEverythingInThem) {
  const std::string base = Prepared("making-base") + "/fs";
  ASSERT_TRUE(MakeDirectories(base + "/etc/deep", 0750).ok());
  ASSERT_TRUE(
      WriteFileAtomic(base + "/etc/deep/file", "bytes", 0640, Durability::kNotDurable).ok());
  ASSERT_EQ(::symlink("/nowhere", (base + "/link").c_str()), 0);
  ASSERT_EQ(::setxattr((base + "/etc").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  ASSERT_EQ(::chown((base + "/etc").c_str(), 7, 8), 0);
  ASSERT_TRUE(snapshotter_->Commit(scope_, "base", "making-base", {}).ok());
  Committed("top", "base");
  Prepared("container", "top");

  // The backup's records are a copy of its own; here the store itself stands for that.
  const std::string to = dir_.path() + "/backup";
  const auto result = BackUpSnapshots(Root(), to, "overlayfs", *store_);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->kept, 2u);
  EXPECT_EQ(result->dropped, 1u);
  const std::string copy = absl::StrCat(to, "/", RecordOf("base").id, "/fs");
  EXPECT_EQ(ReadFile(copy + "/etc/deep/file").value(), "bytes");
  struct stat st {};
  ASSERT_EQ(::stat((copy + "/etc").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 7u);
  EXPECT_EQ(st.st_gid, 8u);
  EXPECT_EQ(st.st_mode & 07777, 0750u);
  struct stat original {};
  ASSERT_EQ(::stat((base + "/etc").c_str(), &original), 0);
  EXPECT_EQ(st.st_mtim.tv_nsec, original.st_mtim.tv_nsec);
  char value[8];
  EXPECT_EQ(::getxattr((copy + "/etc").c_str(), "trusted.overlay.opaque", value, sizeof value), 1);
  ASSERT_EQ(::lstat((copy + "/link").c_str(), &st), 0);
  EXPECT_TRUE(S_ISLNK(st.st_mode));
  EXPECT_EQ(RecordOf("top").children, 0u);
  const auto restored = OverlaySnapshotter::Open(to, *store_);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_TRUE((*restored)->Prepare(scope_, "new", "top", {}).ok());
}

}  // namespace
}  // namespace gantry::snapshots
