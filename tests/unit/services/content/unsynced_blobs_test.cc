#include "services/content/unsynced_blobs.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/fault_point.h"
#include "services/check/check.h"
#include "services/content/content_check.h"
#include "tests/unit/services/content/fixture.h"

namespace gantry::content {
namespace {

class UnsyncedBlobsTest : public ContentStoreTest {
 protected:
  void TearDown() override { DisarmFaults(); }

  // How many blobs the store has the bytes of.
  size_t Kept() {
    size_t kept = 0;
    EXPECT_TRUE(store_
                    ->View([&](const metadata::Reader& reader) {
                      return reader.ForEach("unsynced_blobs", "",
                                            [&](absl::string_view, absl::string_view) {
                                              ++kept;
                                              return absl::OkStatus();
                                            });
                    })
                    .ok());
    return kept;
  }
  void IngestMany() {
    for (size_t i = 0; i < UnsyncedBlobs::kBatch; ++i) Ingest("small " + std::to_string(i));
  }
  // Leaves the store closed.
  void InAProcessThatIsKilled(const std::function<void()>& body) {
    Close();
    const pid_t child = ::fork();
    if (child == 0) {
      Reopen();
      body();
      if (!HasFailure()) ::kill(::getpid(), SIGKILL);
      ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  // What a power cut may leave of a file that was never synced.
  void Lose(const Digest& digest, int how) {
    const std::string path = BlobPath(digest);
    struct stat st {};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    int done = 0;
    if (how == 0) done = ::unlink(path.c_str());
    if (how == 1 || how == 2) done = ::truncate(path.c_str(), 0);
    if (how == 2) done = ::truncate(path.c_str(), st.st_size);  // zeros
    ASSERT_EQ(done, 0);
  }
};

TEST_F(UnsyncedBlobsTest, WhatAPowerCutTakesOfASmallBlobIsPutBack) {
  for (int how = 0; how < 4; ++how) {
    SCOPED_TRACE(how);
    const std::string data = "small " + std::to_string(how);
    InAProcessThatIsKilled([&] { Ingest(data); });
    store_ = *metadata::Store::Open(MetadataPath(), {64 << 20});
    EXPECT_EQ(Kept(), 1u);
    Lose(Sha256(data), how);
    Reopen();
    EXPECT_EQ(Read(Sha256(data)), data);
    EXPECT_EQ(Kept(), 0u) << "now it is on the disk";
    struct stat st {};
    ASSERT_EQ(::stat(BlobPath(Sha256(data)).c_str(), &st), 0);
    EXPECT_EQ(st.st_mode & 07777, 0444u);
  }
}

TEST_F(UnsyncedBlobsTest, ACheckPutsItBackToo) {
  InAProcessThatIsKilled([&] { Ingest("small"); });
  Lose(Sha256("small"), 1);
  store_ = *metadata::Store::Open(MetadataPath(), {64 << 20});
  int findings = 0;
  const auto checked = CheckContent(ContentPath(), *store_, {.repair = true},
                                    [&](const check::Finding&) { ++findings; });
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(findings, 0);
  Reopen();
  EXPECT_EQ(Read(Sha256("small")), "small");
}

TEST_F(UnsyncedBlobsTest, OneThatWasDeletedIsNotPutBack) {
  InAProcessThatIsKilled([&] {
    Ingest("small");
    EXPECT_TRUE(content_->Delete(kNs, Sha256("small")).ok());
  });
  Lose(Sha256("small"), 0);
  Reopen();
  EXPECT_NE(::access(BlobPath(Sha256("small")).c_str(), F_OK), 0);
  EXPECT_EQ(Kept(), 0u);
}

TEST_F(UnsyncedBlobsTest, ALargeBlobIsSyncedByItself) {
  Ingest(std::string(UnsyncedBlobs::kMostBytes + 1, 'x'));
  EXPECT_EQ(Kept(), 0u);
  Ingest(std::string(UnsyncedBlobs::kMostBytes, 'x'));
  EXPECT_EQ(Kept(), 1u);
}

TEST_F(UnsyncedBlobsTest, ASmallBlobInPlaceOfADamagedOneIsSyncedByItself) {
  const Digest digest = Ingest("small");
  Reopen();
  Lose(digest, 1);
  EXPECT_EQ(Kept(), 0u);
  auto writer = Writer("again", 5, digest.text());
  ASSERT_TRUE(writer->Write("small").ok());
  EXPECT_TRUE(absl::IsAlreadyExists(writer->Commit(5, digest.text(), {}).status()));
  EXPECT_EQ(Kept(), 0u);
  EXPECT_EQ(Read(digest), "small");
}

TEST_F(UnsyncedBlobsTest, OnceThereAreManyTheyAreSyncedAndLeaveTheStore) {
  std::atomic<int> syncs = 0;
  ObserveFaultPoints([&](absl::string_view name) {
    if (name != "content.batch.synced") return;
    ++syncs;
    syncs.notify_one();
  });
  IngestMany();
  syncs.wait(0);
  content_.reset();
  EXPECT_EQ(syncs, 1) << "there was nothing left over";
  EXPECT_EQ(Kept(), 0u);
  Reopen();
  EXPECT_EQ(Read(Sha256("small 0")), "small 0");
}

TEST_F(UnsyncedBlobsTest, ADiskThatFailsToSyncManyKeepsThemInTheStore) {
  ASSERT_TRUE(ArmFault("content.batch.synced", "EIO").ok());
  IngestMany();
  content_.reset();
  EXPECT_EQ(Kept(), UnsyncedBlobs::kBatch);
  Lose(Sha256("small 7"), 1);
  Reopen();
  EXPECT_EQ(Read(Sha256("small 7")), "small 7");
  EXPECT_EQ(Kept(), 0u);
}

TEST_F(UnsyncedBlobsTest, ABlobMadeAnewWhileTheOldOneIsSyncedStaysInTheStore) {
  const Digest digest = Sha256("small 0");
  InAProcessThatIsKilled([&] {
    std::unique_ptr<ContentWriter> again = Writer("again");
    ASSERT_TRUE(again->Write("small 0").ok());
    std::atomic<bool> done = false;
    // After the sync and before the bytes go: deleted, collected and sent again.
    ObserveFaultPoints([&](absl::string_view name) {
      if (name != "content.batch.synced" || done) return;
      EXPECT_TRUE(content_->Delete(kNs, digest).ok());
      EXPECT_EQ(::unlink(BlobPath(digest).c_str()), 0);
      EXPECT_TRUE(again->Commit(0, "", {}).ok());
      done = true;
      done.notify_one();
    });
    IngestMany();
    done.wait(false);
    while (Kept() > 1) std::this_thread::yield();
  });
  Lose(digest, 0);
  Reopen();
  EXPECT_EQ(Read(digest), "small 0");
}

TEST_F(UnsyncedBlobsTest, AKillBetweenTheSyncAndWhatFollowsLosesNothing) {
  InAProcessThatIsKilled([&] {
    ArmFault("content.batch.synced", "crash").IgnoreError();
    IngestMany();
    content_.reset();
    ADD_FAILURE() << "nothing killed it";
  });
  Reopen();
  for (size_t i = 0; i < UnsyncedBlobs::kBatch; ++i) {
    EXPECT_EQ(Read(Sha256("small " + std::to_string(i))), "small " + std::to_string(i));
  }
}

}  // namespace
}  // namespace gantry::content
