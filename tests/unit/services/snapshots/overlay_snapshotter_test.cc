#include "services/snapshots/overlay_snapshotter.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/file.h"
#include "base/temp_dir.h"

namespace gantry::snapshots {
namespace {

class OverlaySnapshotterTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    snapshotter_.reset();
    store_.reset();
    store_ = *metadata::Store::Open(dir_.path() + "/meta", {64 << 20});
    snapshotter_ = *OverlaySnapshotter::Open(Root(), *store_);
  }
  std::string Root() { return dir_.path() + "/snapshots"; }
  size_t Directories() {
    EXPECT_TRUE(snapshotter_->Cleanup().ok());
    return ListDirectory(Root())->size();
  }
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

TEST_F(OverlaySnapshotterTest, ACommittedKeyIsGoneAndItsNameIsThere) {
  Committed("base");
  EXPECT_EQ(snapshotter_->Stat(scope_, "making-base").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(snapshotter_->Stat(scope_, "base")->kind, Kind::kCommitted);
  EXPECT_EQ(snapshotter_->Mounts(scope_, "base").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(OverlaySnapshotterTest, RefusalsHaveContainerdsCodes) {
  Committed("base");
  ASSERT_TRUE(snapshotter_->Prepare(scope_, "w", "base", {}).ok());
  EXPECT_EQ(snapshotter_->Prepare(scope_, "w", "", {}).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(snapshotter_->Prepare(scope_, "x", "w", {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(snapshotter_->Prepare(scope_, "x", "no", {}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(snapshotter_->Prepare(scope_, "", "", {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(snapshotter_->Commit(scope_, "base", "w", {}).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(snapshotter_->Commit(scope_, "y", "base", {}).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(snapshotter_->Remove(scope_, "base").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(snapshotter_->Remove(scope_, "no").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(snapshotter_->Prepare(scope_, "z", "", {{"containerd.io/snapshot.ref", "base"}})
                .status()
                .code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Directories(), 2u) << "refusals leave nothing";
}

TEST_F(OverlaySnapshotterTest, NamespacesDoNotSeeEachOther) {
  Committed("base");
  const Scope other{"other", ""};
  EXPECT_EQ(snapshotter_->Stat(other, "base").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(snapshotter_->Prepare(other, "base", "", {}).ok());
}

TEST_F(OverlaySnapshotterTest, RemovalTakesTheDirectoryAlong) {
  Committed("base");
  ASSERT_TRUE(snapshotter_->View(scope_, "v", "base", {}).ok());
  ASSERT_TRUE(snapshotter_->Remove(scope_, "v").ok());
  ASSERT_TRUE(snapshotter_->Remove(scope_, "base").ok());
  EXPECT_EQ(Directories(), 0u);
}

TEST_F(OverlaySnapshotterTest, UsageCountsAFileWithTwoNamesOnce) {
  const auto mounts = *snapshotter_->Prepare(scope_, "w", "", {});
  const int64_t before = snapshotter_->GetUsage(scope_, "w")->inodes;
  ASSERT_TRUE(
      WriteFileAtomic(mounts[0].source + "/f", std::string(8192, 'x'), 0644, Durability::kDurable)
          .ok());
  ASSERT_EQ(::link((mounts[0].source + "/f").c_str(), (mounts[0].source + "/g").c_str()), 0);
  EXPECT_EQ(snapshotter_->GetUsage(scope_, "w")->inodes, before + 1);
  ASSERT_TRUE(snapshotter_->Commit(scope_, "c", "w", {}).ok());
  EXPECT_GE(snapshotter_->GetUsage(scope_, "c")->size_bytes, 8192);
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

TEST_F(OverlaySnapshotterTest, ListsByFilterAndUpdatesLabels) {
  Committed("a");
  Committed("b", "a");
  EXPECT_EQ(snapshotter_->List(scope_, {"parent==a"})->size(), 1u);
  EXPECT_EQ(snapshotter_->List(scope_, {"kind==committed"})->size(), 2u);
  Info info;
  info.name = "a";
  info.labels = {{"k", "v"}};
  EXPECT_EQ(snapshotter_->Update(scope_, info, {"labels.k"})->labels, info.labels);
  EXPECT_EQ(snapshotter_->Update(scope_, info, {"parent"}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(snapshotter_->List(scope_, {"labels.k==v"})->size(), 1u);
}

TEST_F(OverlaySnapshotterTest, AKillAtAnyStepLeavesNoDirectoryWithoutARecord) {
  Committed("base");
  snapshotter_.reset();
  store_.reset();
  for (const char* point :
       {"snapshots.create.directory", "snapshots.commit.synced", "snapshots.remove.record",
        "metadata.commit.before", "metadata.commit.after"}) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = metadata::Store::Open(dir_.path() + "/meta", {64 << 20});
      auto snapshotter = OverlaySnapshotter::Open(Root(), **store);
      ArmFault(point, "crash").IgnoreError();
      (*snapshotter)->Prepare(scope_, "w", "base", {}).status().IgnoreError();
      (*snapshotter)->Commit(scope_, "c", "w", {}).IgnoreError();
      (*snapshotter)->Remove(scope_, "c").IgnoreError();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << point;
    Reopen();
    EXPECT_EQ(Directories(), snapshotter_->List(scope_, {})->size()) << point;
    for (const char* name : {"w", "c"}) snapshotter_->Remove(scope_, name).IgnoreError();
    EXPECT_EQ(Directories(), 1u) << point;
    snapshotter_.reset();
    store_.reset();
  }
}

}  // namespace
}  // namespace gantry::snapshots
