// What holds for every snapshotter, run on each.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "base/fault_point.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "services/snapshots/native_snapshotter.h"
#include "services/snapshots/overlay_snapshotter.h"

namespace gantry::snapshots {
namespace {

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<Snapshotter>(const std::string& root, metadata::Store& store)> open;
};

class SnapshotterSuite : public testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override { Reopen(); }
  void Close() {
    snapshotter_.reset();
    store_.reset();
  }
  void Reopen() {
    Close();
    store_ = *metadata::Store::Open(dir_.path() + "/meta", {64 << 20});
    snapshotter_ = GetParam().open(Root(), *store_);
  }
  [[nodiscard]] std::string Root() const { return dir_.path() + "/snapshots"; }
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
  std::unique_ptr<Snapshotter> snapshotter_;
};

TEST_P(SnapshotterSuite, ACommittedKeyIsGoneAndItsNameIsThere) {
  Committed("base");
  EXPECT_EQ(snapshotter_->Stat(scope_, "making-base").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(snapshotter_->Stat(scope_, "base")->kind, Kind::kCommitted);
  EXPECT_EQ(snapshotter_->Mounts(scope_, "base").status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_P(SnapshotterSuite, RefusalsHaveContainerdsCodes) {
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

TEST_P(SnapshotterSuite, NamespacesDoNotSeeEachOther) {
  Committed("base");
  const Scope other{"other", ""};
  EXPECT_EQ(snapshotter_->Stat(other, "base").status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(snapshotter_->Prepare(other, "base", "", {}).ok());
}

TEST_P(SnapshotterSuite, RemovalTakesTheDirectoryAlong) {
  Committed("base");
  ASSERT_TRUE(snapshotter_->View(scope_, "v", "base", {}).ok());
  ASSERT_TRUE(snapshotter_->Remove(scope_, "v").ok());
  ASSERT_TRUE(snapshotter_->Remove(scope_, "base").ok());
  EXPECT_EQ(Directories(), 0u);
}

TEST_P(SnapshotterSuite, UsageCountsAFileWithTwoNamesOnce) {
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

TEST_P(SnapshotterSuite, ListsByFilterAndUpdatesLabels) {
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

// What a walk through the life of a snapshot has been answered, so that a fault in its midst can be
// held against it.
struct Acknowledged {
  bool prepared = false;
  bool committed = false;
  bool removed = false;
};

Acknowledged Walk(Snapshotter& snapshotter, const Scope& scope) {
  Acknowledged done;
  const absl::StatusOr<std::vector<Mount>> mounts = snapshotter.Prepare(scope, "w", "base", {});
  done.prepared = mounts.ok();
  done.committed = snapshotter.Commit(scope, "c", "w", {}).ok();
  done.removed = snapshotter.Remove(scope, "c").ok();
  return done;
}

TEST_P(SnapshotterSuite, AnErrorAtAnyStepLosesNothingThatWasAnsweredAndLeavesNothing) {
  Committed("base");
  RecordFaultPoints(true);
  const Acknowledged whole = Walk(*snapshotter_, scope_);
  ASSERT_TRUE(snapshotter_->Cleanup().ok());
  const std::vector<std::string> points = RecordedFaultPoints();
  DisarmFaults();
  ASSERT_TRUE(whole.prepared && whole.committed && whole.removed);
  ASSERT_GE(points.size(), 6u);
  std::map<std::string, int> times;
  for (const std::string& point : points) {
    const int nth = ++times[point];
    if (point == "metadata.commit.after") continue;  // on the disk: only a crash comes between
    ASSERT_TRUE(ArmFault(point, "ENOSPC", nth).ok());
    const Acknowledged done = Walk(*snapshotter_, scope_);
    ASSERT_TRUE(snapshotter_->Cleanup().ok());
    DisarmFaults();
    const std::string at = absl::StrCat(point, "@", nth);
    // A removal that failed half-way may be finished already; anything else is as it was answered.
    EXPECT_EQ(snapshotter_->Stat(scope_, "w").ok(), done.prepared && !done.committed) << at;
    if (done.removed || !done.committed) {
      EXPECT_FALSE(snapshotter_->Stat(scope_, "c").ok()) << at;
    }
    // The next start sees to what could not be unlinked.
    Reopen();
    EXPECT_EQ(Directories(), snapshotter_->List(scope_, {})->size()) << at;
    for (const char* name : {"w", "c"}) snapshotter_->Remove(scope_, name).IgnoreError();
    EXPECT_EQ(Directories(), 1u) << at;
  }
}

TEST_P(SnapshotterSuite, AKillAtAnyStepLosesNothingThatWasAnsweredAndLeavesNothing) {
  Committed("base");
  RecordFaultPoints(true);
  Walk(*snapshotter_, scope_);
  ASSERT_TRUE(snapshotter_->Cleanup().ok());
  const std::vector<std::string> points = RecordedFaultPoints();
  DisarmFaults();
  std::map<std::string, int> times;
  for (const std::string& point : points) {
    const int nth = ++times[point];
    const std::string at = absl::StrCat(point, "@", nth);
    Close();
    int told[2];
    ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = metadata::Store::Open(dir_.path() + "/meta", {64 << 20});
      const auto snapshotter = GetParam().open(Root(), **store);
      ArmFault(point, "crash", nth).IgnoreError();
      const auto tell = [&](const char* what) { return ::write(told[1], what, 1) == 1; };
      if (snapshotter->Prepare(scope_, "w", "base", {}).ok()) tell("p");
      if (snapshotter->Commit(scope_, "c", "w", {}).ok()) tell("c");
      if (snapshotter->Remove(scope_, "c").ok()) tell("r");
      snapshotter->Cleanup().IgnoreError();
      ::_exit(0);
    }
    ::close(told[1]);
    const std::string answered = *ReadFd(told[0], 16, "answers");
    ::close(told[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << at;
    Reopen();
    EXPECT_TRUE(snapshotter_->Stat(scope_, "base").ok()) << at;
    // What was under way may be done or not; what was answered is.
    if (answered == "p") {
      EXPECT_NE(snapshotter_->Stat(scope_, "w").ok(), snapshotter_->Stat(scope_, "c").ok()) << at;
    }
    if (answered == "pcr") {
      EXPECT_FALSE(snapshotter_->Stat(scope_, "c").ok()) << at;
    }
    EXPECT_EQ(Directories(), snapshotter_->List(scope_, {})->size()) << at;
    for (const char* name : {"w", "c"}) snapshotter_->Remove(scope_, name).IgnoreError();
    EXPECT_EQ(Directories(), 1u) << at;
    EXPECT_EQ(snapshotter_->List(scope_, {})->size(), 1u) << at;
    EXPECT_EQ(snapshotter_->Stat(scope_, "base")->kind, Kind::kCommitted) << at;
  }
}

TEST_P(SnapshotterSuite, ARecordWithoutItsDirectoryIsDroppedAtTheStartUnlessOthersAreMadeOfIt) {
  Committed("base");
  Committed("lost", "base");
  ASSERT_TRUE(snapshotter_->Prepare(scope_, "w", "base", {}).ok());
  ASSERT_TRUE(snapshotter_->Prepare(scope_, "kept", "base", {}).ok());
  // In the order in which they were made.
  const std::vector<std::string> names = *ListDirectory(Root());
  ASSERT_EQ(names.size(), 4u);
  Close();
  for (const int i : {0, 1, 2}) ASSERT_TRUE(RemoveTree(Root() + "/" + names[i]).ok());
  Reopen();
  EXPECT_TRUE(snapshotter_->Stat(scope_, "base").ok()) << "its child would be without a parent";
  EXPECT_FALSE(snapshotter_->Stat(scope_, "lost").ok());
  EXPECT_FALSE(snapshotter_->Stat(scope_, "w").ok());
  EXPECT_TRUE(snapshotter_->Stat(scope_, "kept").ok());
  ASSERT_TRUE(snapshotter_->Remove(scope_, "kept").ok());
  EXPECT_TRUE(snapshotter_->Remove(scope_, "base").ok()) << "the dropped ones no longer hold it";
}

INSTANTIATE_TEST_SUITE_P(All, SnapshotterSuite,
                         testing::Values(Implementation{"Overlay",
                                                        [](const auto& root, auto& store) {
                                                          return *OverlaySnapshotter::Open(root,
                                                                                           store);
                                                        }},
                                         Implementation{"OverlayThatAwaitsRemoval",
                                                        [](const auto& root, auto& store) {
                                                          return *OverlaySnapshotter::Open(
                                                              root, store, {.sync_remove = true});
                                                        }},
                                         Implementation{"Native",
                                                        [](const auto& root, auto& store) {
                                                          return *NativeSnapshotter::Open(root,
                                                                                          store);
                                                        }}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace gantry::snapshots
