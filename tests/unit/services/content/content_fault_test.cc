#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

#include "absl/strings/match.h"
#include "base/fault_point.h"
#include "services/content/content_store.h"
#include "tests/unit/services/content/fixture.h"

namespace gantry::content {
namespace {

class FaultTest : public ContentStoreTest {
 protected:
  void TearDown() override { DisarmFaults(); }

  // The blob that is called so: one that is synced by itself, or, if it is small, one that the
  // store keeps until many are synced at once.
  static std::string DataOf(const std::string& name) {
    return absl::StartsWith(name, "large") ? name + std::string(UnsyncedBlobs::kMostBytes, 'x')
                                           : name;
  }

  // An upload in two halves, one that is dropped and a delete: passes every durable step there is.
  static absl::Status Scenario(ContentStore& content, const std::string& name) {
    auto dropped = content.OpenWriter({"ns", ""}, "dropped " + name, 0, "");
    if (!dropped.ok()) return dropped.status();
    if (absl::Status status = (*dropped)->Write("junk"); !status.ok()) return status;
    dropped->reset();
    if (absl::Status status = content.Abort("ns", "dropped " + name); !status.ok()) return status;
    auto writer = content.OpenWriter({"ns", ""}, name, 0, "");
    if (!writer.ok()) return writer.status();
    const std::string data = DataOf(name);
    for (const std::string& half :
         {data.substr(0, data.size() / 2), data.substr(data.size() / 2)}) {
      if (absl::Status status = (*writer)->Write(half); !status.ok()) return status;
    }
    return (*writer)->Commit(0, Sha256(data).text(), {}).status();
  }

  // The names of the steps that Scenario goes through, each once.
  std::set<std::string> Steps(const std::string& size) {
    RecordFaultPoints(true);
    EXPECT_TRUE(ArmFault("none", "EIO").ok());
    EXPECT_TRUE(Scenario(*content_, size + " recorded").ok());
    const std::vector<std::string> passed = RecordedFaultPoints();
    DisarmFaults();
    return {passed.begin(), passed.end()};
  }

  // Whatever a fault has left: nothing is half visible, and the client's next try succeeds.
  void ExpectRecovery(const std::string& name) {
    const std::string data = DataOf(name);
    const auto blobs = content_->List("ns", {});
    for (const BlobInfo& info : *blobs) {
      EXPECT_EQ(Sha256(Read(info.digest)), info.digest);
    }
    const auto statuses = content_->ListStatuses("ns", {});
    for (const IngestStatus& status : *statuses) {
      EXPECT_TRUE(status.ref == name || status.ref == "dropped " + name) << status.ref;
    }
    auto writer = content_->OpenWriter(kNs, name, 0, Sha256(data).text());
    if (writer.ok()) {
      const auto offset = static_cast<size_t>((*writer)->status().offset_bytes);
      ASSERT_LE(offset, data.size());
      ASSERT_TRUE((*writer)->Write(data.substr(offset)).ok());
      EXPECT_TRUE((*writer)->Commit(0, Sha256(data).text(), {}).ok());
    } else {
      EXPECT_TRUE(absl::IsAlreadyExists(writer.status())) << writer.status();
    }
    EXPECT_EQ(Read(Sha256(data)), data);
    content_->Abort("ns", "dropped " + name).IgnoreError();
    EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
  }
};

class ContentFaultTest : public FaultTest, public testing::WithParamInterface<std::string> {};

TEST_F(FaultTest, TheWalkKnowsEveryStep) {
  const std::set<std::string> large = Steps("large");
  const std::set<std::string> small = Steps("small");
  for (const char* step : {"content.ingest.directory", "content.ingest.recorded", "content.write",
                           "content.commit.named", "content.commit.recorded",
                           "content.abort.set_aside", "content.abort.recorded"}) {
    EXPECT_EQ(large.count(step), 1u) << step;
    EXPECT_EQ(small.count(step), 1u) << step;
  }
  for (const char* step :
       {"content.commit.synced", "content.commit.renamed", "content.commit.durable"}) {
    EXPECT_EQ(large.count(step), 1u) << step;
    EXPECT_EQ(small.count(step), 0u) << step;
  }
}

TEST_P(ContentFaultTest, AKillAtAnyStepLosesNothingThatWasAcknowledgedAndShowsNothingHalfDone) {
  const std::set<std::string> steps = Steps(GetParam());
  for (const std::string& step : steps) {
    // Both times that the scenario passes the steps it passes twice.
    for (const int time : {1, 2}) {
      SCOPED_TRACE(step + "@" + std::to_string(time));
      const std::string name = GetParam() + " data of " + step + std::to_string(time);
      const std::string data = DataOf(name);
      Close();
      int acknowledged[2];
      ASSERT_EQ(::pipe(acknowledged), 0);
      const pid_t child = ::fork();
      if (child == 0) {
        auto store = metadata::Store::Open(MetadataPath(), {64 << 20});
        auto content = ContentStore::Open(ContentPath(), **store);
        ArmFault(step, "crash", time).IgnoreError();
        const bool done = Scenario(**content, name).ok();
        ::_exit(done && ::write(acknowledged[1], "y", 1) == 1 ? 0 : 1);
      }
      ::close(acknowledged[1]);
      int status = 0;
      ASSERT_EQ(::waitpid(child, &status, 0), child);
      char answer = 'n';
      const bool said = ::read(acknowledged[0], &answer, 1) == 1;
      ::close(acknowledged[0]);
      Reopen();
      if (said) {
        EXPECT_EQ(Read(Sha256(data)), data);
      } else {
        EXPECT_TRUE(WIFSIGNALED(status));
      }
      ExpectRecovery(name);
      Reopen();
      EXPECT_EQ(IngestDirectories(), 0u);
    }
  }
}

TEST_P(ContentFaultTest, AnErrorAtAnyStepIsToldAndCanBeTriedAgainWithoutARestart) {
  const std::set<std::string> steps = Steps(GetParam());
  for (const std::string& step : steps) {
    SCOPED_TRACE(step);
    const std::string data = GetParam() + " data of " + step;
    ASSERT_TRUE(ArmFault(step, "EIO").ok());
    // Steps of the store behind may be errors that it hides.
    // And an upload that cannot be recorded when its writer closes is known until the daemon ends.
    if (step.starts_with("content.") && step != "content.ingest.recorded") {
      EXPECT_FALSE(Scenario(*content_, data).ok());
    } else {
      Scenario(*content_, data).IgnoreError();
    }
    DisarmFaults();
    ExpectRecovery(data);
  }
}

TEST_F(FaultTest, AnUploadWhoseWriterWasKilledGoesOnWhereItWas) {
  MakeLease("l");
  Close();
  const pid_t child = ::fork();
  if (child == 0) {
    auto store = metadata::Store::Open(MetadataPath(), {64 << 20});
    auto content = ContentStore::Open(ContentPath(), **store);
    auto writer = (*content)->OpenWriter({"ns", "l"}, "r", 10, "");
    const bool written = writer.ok() && (*writer)->Write("01234").ok();
    if (written) ::kill(::getpid(), SIGKILL);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  Reopen();
  const auto found = content_->Status("ns", "r");
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->offset_bytes, 5);
  EXPECT_EQ(found->total_bytes, 10);
  EXPECT_EQ(HeldBy("l"), (std::vector<metadata::LeaseResource>{{"ingests", "r"}}));
  auto writer = Writer("r");
  ASSERT_TRUE(writer->Write("56789").ok());
  EXPECT_EQ(*writer->Commit(10, "", {}), Sha256("0123456789"));
}

// A small file system of its own, in a mount namespace of its own.
TEST_F(FaultTest, AFullDiskIsToldAsSuchAndTheUploadGoesOnWhenThereIsRoom) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", "", MS_REC | MS_PRIVATE, "") != 0) {
    GTEST_SKIP() << "needs a mount namespace of its own";
  }
  Close();
  const std::string root = dir_.path() + "/small";
  ASSERT_TRUE(MakeDirectories(root).ok());
  ASSERT_EQ(::mount("tmpfs", root.c_str(), "tmpfs", 0, "size=1m"), 0);
  store_ = *metadata::Store::Open(MetadataPath(), {64 << 20});
  content_ = *ContentStore::Open(root, *store_);

  const std::string filler(600 << 10, 'f');
  const Digest big = Ingest(filler);
  auto writer = Writer("r");
  const std::string piece(256 << 10, 'p');
  ASSERT_TRUE(writer->Write(piece).ok());
  absl::Status status;
  std::string written = piece;
  while (status.ok()) status = writer->Write(piece);
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  const auto offset = static_cast<size_t>(writer->status().offset_bytes);
  writer.reset();
  EXPECT_EQ(content_->Status("ns", "r")->offset_bytes, static_cast<int64_t>(offset));

  ASSERT_TRUE(content_->Delete(kNs, big).ok()) << "a full disk can be deleted on";
  ASSERT_EQ(::unlink((root + "/blobs/sha256/" + std::string(big.hex())).c_str()), 0);
  const std::string whole(offset + 10, 'p');
  writer = Writer("r");
  EXPECT_EQ(writer->status().offset_bytes, static_cast<int64_t>(offset));
  ASSERT_TRUE(writer->Write("pppppppppp").ok());
  EXPECT_EQ(*writer->Commit(0, Sha256(whole).text(), {}), Sha256(whole));
  writer.reset();
  Close();
  EXPECT_EQ(::umount2(root.c_str(), MNT_DETACH), 0);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ContentFaultTest, testing::Values("large", "small"),
                         [](const auto& size) { return size.param; });

}  // namespace
}  // namespace gantry::content
