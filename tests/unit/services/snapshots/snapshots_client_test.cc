#include "services/snapshots/snapshots_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temp_dir.h"
#include "services/snapshots/overlay_snapshotter.h"
#include "services/snapshots/shared_snapshotter.h"
#include "services/snapshots/snapshots_service.h"
#include "tests/unit/services/rpc/grpc_fixture.h"

namespace gantry::snapshots {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Names(const std::vector<Info>& list) {
  std::vector<std::string> names;
  for (const Info& info : list) names.push_back(info.name);
  return names;
}

// A snapshotter of another daemon seen from this one.
class SnapshotsClientTest : public testing::Test {
 protected:
  void SetUp() override {
    store_ = *metadata::Store::Open(dir_.path() + "/meta", {64 << 20});
    overlay_ = *OverlaySnapshotter::Open(dir_.path() + "/snapshots", *store_);
    shared_ = std::make_unique<SharedSnapshotter>(*overlay_, *store_);
    service_ = std::make_unique<SnapshotsService>(
        std::map<std::string, ServedSnapshotter>{{"overlayfs", {.snapshotter = shared_.get()}}},
        executor_, events_, rpc::Caller::kDaemon);
    server_ = std::make_unique<rpc::GrpcServer>(*service_);
    // By a name that the other side does not know: that of the plugin.
    client_ = std::make_unique<SnapshotsClient>(server_->Channel(), "remote");
  }
  void Committed(const std::string& name, const std::string& parent = "") {
    const auto prepared = client_->Prepare(scope_, "making-" + name, parent, {});
    ASSERT_TRUE(prepared.ok()) << prepared.status();
    const absl::Status committed = client_->Commit(scope_, name, "making-" + name, {{"l", name}});
    ASSERT_TRUE(committed.ok()) << committed;
  }

  TempDir dir_ = *TempDir::Create("gantry-snapshots-test-");
  const Scope scope_{"ns", "a-lease-of-this-daemon"};
  Executor executor_{4};
  rpc::RecordingPublisher events_;
  std::unique_ptr<metadata::Store> store_;
  std::unique_ptr<OverlaySnapshotter> overlay_;
  std::unique_ptr<SharedSnapshotter> shared_;
  std::unique_ptr<SnapshotsService> service_;
  std::unique_ptr<rpc::GrpcServer> server_;
  std::unique_ptr<SnapshotsClient> client_;
};

TEST_F(SnapshotsClientTest, AChainIsMadeAndSeenUnderItsOwnNames) {
  Committed("base");
  Committed("top", "base");
  const auto mounts = client_->Prepare(scope_, "work", "top", {});
  ASSERT_TRUE(mounts.ok()) << mounts.status();
  EXPECT_EQ((*mounts)[0].type, "overlay");
  EXPECT_EQ(*client_->Mounts(scope_, "work"), *mounts);
  EXPECT_EQ(client_->Stat(scope_, "top")->parent, "base");
  EXPECT_THAT(Names(*client_->List(scope_, {})), ElementsAre("base", "top", "work"));
  EXPECT_THAT(Names(*client_->List(scope_, {"parent==base", "name==work"})),
              ElementsAre("top", "work"));
  EXPECT_EQ(client_->GetUsage(scope_, "base")->inodes, 1);
  EXPECT_EQ(client_->Remove(scope_, "top").code(), StatusCode::kFailedPrecondition);
  EXPECT_TRUE(client_->Remove(scope_, "work").ok());
  EXPECT_TRUE(client_->Remove(scope_, "top").ok());
  EXPECT_TRUE(client_->Cleanup().ok());
}

TEST_F(SnapshotsClientTest, NamespacesShareNoKeys) {
  Committed("base");
  const Scope other{"other", ""};
  EXPECT_EQ(client_->Stat(other, "base").status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(client_->Prepare(other, "making-base", "", {}).ok());
  EXPECT_THAT(Names(*client_->List(other, {})), ElementsAre("making-base"));
  EXPECT_EQ(overlay_->Stat({"ns", ""}, "ns/base")->kind, Kind::kCommitted);
}

TEST_F(SnapshotsClientTest, TheTargetOfAPrepareIsLookedForUnderItsNameHere) {
  Committed("chain");
  const Labels labels = {{"containerd.io/snapshot.ref", "chain"}};
  EXPECT_EQ(client_->Prepare(scope_, "again", "", labels).status().code(),
            StatusCode::kAlreadyExists);
  const Labels other = {{"containerd.io/snapshot.ref", "not-there"}};
  EXPECT_TRUE(client_->Prepare(scope_, "again", "", other).ok());
}

TEST_F(SnapshotsClientTest, LabelsAreUpdatedByPath) {
  Committed("base");
  Info wanted;
  wanted.name = "base";
  wanted.labels = {{"colour", "blue"}};
  const auto updated = client_->Update(scope_, wanted, {"labels.colour"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->labels, (Labels{{"colour", "blue"}, {"l", "base"}}));
  EXPECT_EQ(updated->name, "base");
}

TEST_F(SnapshotsClientTest, ErrorsKeepTheirCodeAndNameTheSnapshotter) {
  const absl::Status status = client_->Stat(scope_, "nothing").status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("snapshotter remote: "));
  client_->CancelAll();
  EXPECT_EQ(client_->Stat(scope_, "nothing").status().code(), StatusCode::kCancelled);
}

TEST_F(SnapshotsClientTest, ACallWithoutANamespaceMeansTheOneThatHasTheKey) {
  ASSERT_TRUE(overlay_->Prepare({"red", ""}, "default/1/a", "", {}).ok());
  ASSERT_TRUE(overlay_->Prepare({"blue", ""}, "default/2/b", "", {}).ok());
  // Some calls of containerd's name no namespace, its collection none at all.
  ASSERT_TRUE(shared_->Prepare({"", ""}, "default/3/c", "", {}).ok());
  EXPECT_EQ(shared_->List({"", ""}, {})->size(), 3u);
  EXPECT_TRUE(shared_->Commit({"", ""}, "default/4/d", "default/2/b", {}).ok());
  EXPECT_TRUE(shared_->Prepare({"", ""}, "default/5/e", "default/4/d", {}).ok());
  EXPECT_TRUE(overlay_->Stat({"blue", ""}, "default/5/e").ok());
  EXPECT_TRUE(shared_->Stat({"red", ""}, "default/3/c").ok()) << "in no namespace, so in all";
  EXPECT_TRUE(shared_->Remove({"", ""}, "default/1/a").ok());
  EXPECT_EQ(shared_->Remove({"", ""}, "default/1/a").code(), StatusCode::kNotFound);

  ASSERT_TRUE(overlay_->Prepare({"red", ""}, "twice", "", {}).ok());
  ASSERT_TRUE(overlay_->Prepare({"blue", ""}, "twice", "", {}).ok());
  const absl::Status twice = shared_->Remove({"", ""}, "twice");
  EXPECT_EQ(twice.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(twice.message()), HasSubstr("\"blue\" and \"red\""));
}

}  // namespace
}  // namespace gantry::snapshots
