#include "services/content/content_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fault_point.h"
#include "base/file.h"
#include "base/temp_dir.h"

namespace gantry::content {
namespace {

class ContentStoreTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    content_.reset();
    store_.reset();
    store_ = *metadata::Store::Open(dir_.path() + "/meta", {64 << 20});
    content_ = *ContentStore::Open(dir_.path() + "/content", *store_);
  }
  std::unique_ptr<ContentWriter> Writer(const std::string& ref, int64_t total = 0,
                                        const std::string& expected = "",
                                        const std::string& ns = "ns") {
    auto writer = content_->OpenWriter(Scope{ns, ""}, ref, total, expected);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  absl::StatusCode OpenCode(const std::string& ref, int64_t total, const std::string& expected) {
    return content_->OpenWriter(Scope{"ns", ""}, ref, total, expected).status().code();
  }
  Digest Ingest(const std::string& data, const std::string& ns = "ns") {
    auto writer = Writer("ingest-" + ns, 0, "", ns);
    EXPECT_TRUE(writer->Write(data).ok());
    const auto digest = writer->Commit(0, "", {});
    EXPECT_TRUE(digest.ok()) << digest.status();
    return digest.ok() ? *digest : Digest();
  }
  TempDir dir_ = *TempDir::Create("gantry-content-test-");
  std::unique_ptr<metadata::Store> store_;
  std::unique_ptr<ContentStore> content_;
};

TEST_F(ContentStoreTest, WhatIsCommittedIsReadBackAndSurvivesAReopen) {
  const Digest digest = Ingest("hello");
  EXPECT_EQ(digest, Sha256("hello"));
  Reopen();
  const auto blob = content_->Open("ns", digest);
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ((*blob)->size(), 5u);
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
}

TEST_F(ContentStoreTest, AWrongSizeOrDigestIsRefusedAndTheUploadStays) {
  auto writer = Writer("r");
  ASSERT_TRUE(writer->Write("data").ok());
  EXPECT_EQ(writer->Commit(5, "", {}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(writer->Commit(4, Sha256("other").text(), {}).status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(*writer->Commit(4, Sha256("data").text(), {}), Sha256("data"));
}

TEST_F(ContentStoreTest, AnUploadResumesWhereItWasLeftAcrossARestart) {
  ASSERT_TRUE(Writer("r", 8)->Write("half").ok());
  Reopen();
  EXPECT_EQ(content_->Status("ns", "r")->offset_bytes, 4);
  auto writer = Writer("r", 8);
  EXPECT_EQ(writer->status().offset_bytes, 4);
  ASSERT_TRUE(writer->Write("full").ok());
  EXPECT_EQ(*writer->Commit(8, "", {}), Sha256("halffull"));
}

TEST_F(ContentStoreTest, ARefHasOneWriterAtATime) {
  auto writer = Writer("r");
  EXPECT_EQ(OpenCode("r", 0, ""), absl::StatusCode::kUnavailable);
  writer.reset();
  EXPECT_EQ(OpenCode("r", 0, ""), absl::StatusCode::kOk);
}

TEST_F(ContentStoreTest, KnownContentIsNotUploadedAgain) {
  const Digest digest = Ingest("x");
  EXPECT_EQ(OpenCode("r", 1, digest.text()), absl::StatusCode::kAlreadyExists);
  auto writer = Writer("r2");
  ASSERT_TRUE(writer->Write("x").ok());
  EXPECT_EQ(writer->Commit(0, "", {}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
}

TEST_F(ContentStoreTest, AnotherNamespaceGetsABlobByItsDigestAndNotOtherwise) {
  const Digest digest = Ingest("shared", "one");
  EXPECT_EQ(content_->Open("two", digest).status().code(), absl::StatusCode::kNotFound);
  auto writer = Writer("r", 6, digest.text(), "two");
  EXPECT_EQ(writer->status().offset_bytes, 6);
  EXPECT_TRUE(writer->Commit(6, digest.text(), {}).ok());
  EXPECT_TRUE(content_->Open("two", digest).ok());
}

TEST_F(ContentStoreTest, AnAbortedUploadIsGoneAndItsWriterCannotCommit) {
  auto writer = Writer("r");
  ASSERT_TRUE(writer->Write("x").ok());
  ASSERT_TRUE(content_->Abort("ns", "r").ok());
  EXPECT_EQ(content_->Status("ns", "r").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(writer->Commit(0, "", {}).ok());
  EXPECT_EQ(content_->Abort("ns", "r").code(), absl::StatusCode::kNotFound);
}

TEST_F(ContentStoreTest, ResetStartsOver) {
  auto writer = Writer("r");
  ASSERT_TRUE(writer->Write("wrong").ok());
  ASSERT_TRUE(writer->Reset().ok());
  ASSERT_TRUE(writer->Write("right").ok());
  EXPECT_EQ(*writer->Commit(5, "", {}), Sha256("right"));
}

TEST_F(ContentStoreTest, Sha512IsComputedWhenItIsExpected) {
  Digester digester = *Digester::Create("sha512");
  digester.Update("data");
  const std::string expected = digester.Finish().text();
  auto writer = Writer("r");
  ASSERT_TRUE(writer->Write("data").ok());
  EXPECT_EQ(writer->Commit(4, expected, {})->text(), expected);
}

TEST_F(ContentStoreTest, ABlobThatIsShortOrGoneOnDiskIsNeverServed) {
  const Digest digest = Ingest("some data");
  const std::string path = dir_.path() + "/content/blobs/sha256/" + std::string(digest.hex());
  ASSERT_EQ(::truncate(path.c_str(), 3), 0);
  EXPECT_EQ(content_->Open("ns", digest).status().code(), absl::StatusCode::kDataLoss);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  const absl::Status status = content_->Open("ns", digest).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(status.message().find(digest.text()), absl::string_view::npos);
}

TEST_F(ContentStoreTest, LabelsAreUpdatedByMaskAndNothingElseIs) {
  BlobInfo info;
  info.digest = Ingest("x");
  info.labels = {{"a", "1"}, {"b", "2"}};
  ASSERT_TRUE(content_->Update("ns", info, {}).ok());
  info.labels = {{"a", ""}, {"b", "9"}, {"c", "3"}};
  EXPECT_EQ(content_->Update("ns", info, {"labels.a", "labels.c"})->labels,
            (Labels{{"b", "2"}, {"c", "3"}}));
  EXPECT_EQ(content_->Update("ns", info, {"size"}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(content_->List("ns", {"labels.c==3"})->size(), 1u);
  EXPECT_TRUE(content_->List("ns", {"labels.c==4"})->empty());
}

TEST_F(ContentStoreTest, AKillAtAnyStepOfACommitLosesNothingThatWasAcknowledged) {
  content_.reset();
  store_.reset();
  for (const char* point :
       {"content.ingest.directory", "content.write", "content.commit.synced",
        "content.commit.renamed", "content.commit.record", "metadata.commit.after"}) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = metadata::Store::Open(dir_.path() + "/meta", {64 << 20});
      auto content = ContentStore::Open(dir_.path() + "/content", **store);
      ArmFault(point, "crash").IgnoreError();
      auto writer = (*content)->OpenWriter(Scope{"ns", ""}, point, 0, "");
      if (writer.ok() && (*writer)->Write(point).ok())
        (*writer)->Commit(0, "", {}).status().IgnoreError();
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << point;
    Reopen();
    // Whatever was left, the upload can be finished, and the blob is whole.
    auto writer = content_->OpenWriter(Scope{"ns", ""}, point, 0, Sha256(point).text());
    if (writer.ok()) {
      if ((*writer)->status().offset_bytes == 0) {
        ASSERT_TRUE((*writer)->Write(point).ok());
      }
      EXPECT_TRUE((*writer)->Commit(0, Sha256(point).text(), {}).ok()) << point;
    } else {
      EXPECT_EQ(writer.status().code(), absl::StatusCode::kAlreadyExists) << writer.status();
    }
    EXPECT_TRUE(content_->Open("ns", Sha256(point)).ok()) << point;
    content_.reset();
    store_.reset();
  }
  Reopen();
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
  EXPECT_TRUE(ListDirectory(dir_.path() + "/content/ingest")->empty());
}

}  // namespace
}  // namespace gantry::content
