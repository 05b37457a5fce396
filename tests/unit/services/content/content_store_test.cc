#include "services/content/content_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/content/blob_record.h"
#include "services/metadata/namespaces.h"
#include "tests/unit/services/content/fixture.h"

namespace gantry::content {
namespace {

using absl::StatusCode;

TEST_F(ContentStoreTest, WhatIsCommittedIsReadBackAndSurvivesAReopen) {
  const Digest digest = Ingest("hello");
  EXPECT_EQ(digest, Sha256("hello"));
  Reopen();
  EXPECT_EQ(Read(digest), "hello");
  EXPECT_EQ(content_->Info("ns", digest)->size_bytes, 5);
  EXPECT_TRUE(content_->ListStatuses("ns", {})->empty());
  EXPECT_EQ(IngestDirectories(), 0u);
}

TEST_F(ContentStoreTest, ABlobIsReadOnlyOnDisk) {
  struct stat st {};
  ASSERT_EQ(::stat(BlobPath(Ingest("x")).c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0444u);
}

TEST_F(ContentStoreTest, WhatIsMissingIsNotFoundInContainerdsWords) {
  const Digest digest = Sha256("never written");
  const absl::Status status = content_->Info("ns", digest).status();
  EXPECT_EQ(status.code(), StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "content digest " + digest.text() + ": not found");
  EXPECT_EQ(content_->Open("ns", digest).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(content_->Delete(kNs, digest).code(), StatusCode::kNotFound);
  BlobInfo info;
  info.digest = digest;
  EXPECT_EQ(content_->Update("ns", info, {}).status().code(), StatusCode::kNotFound);
}

TEST_F(ContentStoreTest, ABlobThatIsShortOrGoneOnDiskIsNeverServed) {
  const Digest digest = Ingest("some data");
  ASSERT_EQ(::truncate(BlobPath(digest).c_str(), 3), 0);
  EXPECT_EQ(content_->Open("ns", digest).status().code(), StatusCode::kDataLoss);
  ASSERT_EQ(::unlink(BlobPath(digest).c_str()), 0);
  const absl::Status status = content_->Open("ns", digest).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(status.message().find(digest.text()), absl::string_view::npos);
}

TEST_F(ContentStoreTest, SendingADamagedBlobAgainRepairsIt) {
  const Digest digest = Ingest("some data");
  ASSERT_EQ(::truncate(BlobPath(digest).c_str(), 3), 0);
  auto writer = Writer("r", 9, digest.text());
  EXPECT_EQ(writer->status().offset_bytes, 0);
  ASSERT_TRUE(writer->Write("some data").ok());
  EXPECT_EQ(writer->Commit(9, digest.text(), {}).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Read(digest), "some data");
}

// Changes one byte of a file and nothing of its length.
void Flip(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(fd.valid());
  char byte;
  ASSERT_EQ(::pread(fd.get(), &byte, 1, 2), 1);
  byte = static_cast<char>(byte ^ 0x10);
  ASSERT_EQ(::pwrite(fd.get(), &byte, 1, 2), 1);
}

TEST_F(ContentStoreTest, ABlobWithAFlippedBitIsNeverServed) {
  const Digest digest = Ingest("some data");
  Ingest("some data", {"two", ""});
  EXPECT_EQ(Read(digest), "some data");
  Flip(BlobPath(digest));
  for (int lives = 0; lives < 2; ++lives) {
    for (const char* ns : {"ns", "two"}) {
      const absl::Status status = content_->Open(ns, digest).status();
      EXPECT_EQ(status.code(), StatusCode::kDataLoss);
      EXPECT_NE(status.message().find(digest.text()), absl::string_view::npos) << status;
    }
    Reopen();
  }
}

TEST_F(ContentStoreTest, SendingABlobWithAFlippedBitAgainRepairsItForAll) {
  const Digest digest = Ingest("some data");
  Ingest("some data", {"two", ""});
  Flip(BlobPath(digest));
  auto writer = Writer("r", 9, digest.text());
  EXPECT_EQ(writer->status().offset_bytes, 0) << "the bytes must come";
  ASSERT_TRUE(writer->Write("some data").ok());
  EXPECT_EQ(writer->Commit(9, digest.text(), {}).status().code(), StatusCode::kAlreadyExists);
  EXPECT_EQ(Read(digest), "some data");
  EXPECT_EQ(Read(digest, "two"), "some data");
}

TEST_F(ContentStoreTest, ABlobWithAFlippedBitIsNotSharedWithAnotherNamespace) {
  const Digest digest = Ingest("some data");
  Flip(BlobPath(digest));
  EXPECT_EQ(Writer("r", 9, digest.text(), {"two", ""})->status().offset_bytes, 0);
}

TEST_F(ContentStoreTest, AFileThatWasTouchedIsReadThroughOnceAndThenKnownAgain) {
  const Digest digest = Ingest("some data");
  const FileStamp before = content_->Info("ns", digest)->stamp;
  ASSERT_EQ(::chmod(BlobPath(digest).c_str(), 0400), 0);
  struct stat st {};
  ASSERT_EQ(::stat(BlobPath(digest).c_str(), &st), 0);
  ASSERT_NE(FileStamp::Of(st), before);
  EXPECT_EQ(Read(digest), "some data");
  Reopen();
  EXPECT_EQ(content_->Info("ns", digest)->stamp, FileStamp::Of(st));
}

TEST_F(ContentStoreTest, ABlobOfAReleaseThatKeptNoStampIsFoundToBeWhatItsDigestSays) {
  const Digest digest = Ingest("some data");
  const auto forget = [&] {
    BlobInfo info = *content_->Info("ns", digest);
    info.stamp = {};
    const absl::Status status = store_->Update([&](metadata::Writer& records) {
      return records.Put(kBlobBucket, "ns", digest.text(), Encode(info));
    });
    ASSERT_TRUE(status.ok()) << status;
  };
  forget();
  EXPECT_EQ(Read(digest), "some data");
  EXPECT_NE(content_->Info("ns", digest)->stamp, FileStamp());
  forget();
  Flip(BlobPath(digest));
  EXPECT_EQ(content_->Open("ns", digest).status().code(), StatusCode::kDataLoss);
}

TEST_F(ContentStoreTest, LabelsAreUpdatedByMaskAndNothingElseIs) {
  BlobInfo info;
  info.digest = Ingest("x");
  info.labels = {{"a", "1"}, {"b", "2"}};
  ASSERT_TRUE(content_->Update("ns", info, {}).ok());
  info.labels = {{"a", ""}, {"b", "9"}, {"c", "3"}};
  const auto updated = content_->Update("ns", info, {"labels.a", "labels.c"});
  EXPECT_EQ(updated->labels, (Labels{{"b", "2"}, {"c", "3"}}));
  EXPECT_GT(updated->updated_at, updated->created_at);
  EXPECT_EQ(content_->Update("ns", info, {"size"}).status().code(), StatusCode::kInvalidArgument);
  info.labels = {{"long", std::string(5000, 'x')}};
  EXPECT_EQ(content_->Update("ns", info, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(content_->Info("ns", info.digest)->labels, (Labels{{"b", "2"}, {"c", "3"}}));
}

TEST_F(ContentStoreTest, ListFiltersByDigestSizeAndLabels) {
  BlobInfo info;
  info.digest = Ingest("one");
  info.labels = {{"containerd.io/uncompressed", "sha256:x"}};
  ASSERT_TRUE(content_->Update("ns", info, {}).ok());
  Ingest("three");
  EXPECT_EQ(content_->List("ns", {})->size(), 2u);
  EXPECT_EQ(content_->List("ns", {"digest==" + info.digest.text()})->size(), 1u);
  EXPECT_EQ(content_->List("ns", {"size==5"})->size(), 1u);
  EXPECT_EQ(content_->List("ns", {"labels.\"containerd.io/uncompressed\""})->size(), 1u);
  EXPECT_EQ(content_->List("ns", {"size==4"})->size(), 0u);
  EXPECT_EQ(content_->List("ns", {"size==3", "size==5"})->size(), 2u);
  EXPECT_EQ(content_->List("ns", {"digest=="}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(content_->List("other", {})->empty());
}

TEST_F(ContentStoreTest, DeletingInOneNamespaceLeavesTheOthersAlone) {
  const Digest digest = Ingest("both");
  Ingest("both", {"two", ""});
  ASSERT_TRUE(content_->Delete(kNs, digest).ok());
  EXPECT_EQ(content_->Info("ns", digest).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Read(digest, "two"), "both");
}

TEST_F(ContentStoreTest, AnOpenBlobOutlivesItsRecord) {
  const Digest digest = Ingest("kept open");
  const auto blob = *content_->Open("ns", digest);
  ASSERT_TRUE(content_->Delete(kNs, digest).ok());
  EXPECT_EQ(*ReadFd(blob->fd(), 100, "blob"), "kept open");
}

TEST_F(ContentStoreTest, AnotherNamespaceGetsABlobByItsDigestAndNotOtherwise) {
  const Digest digest = Ingest("shared");
  EXPECT_EQ(content_->Open("two", digest).status().code(), StatusCode::kNotFound);
  auto writer = Writer("r", 6, digest.text(), {"two", ""});
  EXPECT_EQ(writer->status().offset_bytes, 6);
  EXPECT_EQ(writer->CurrentDigest(), digest);
  EXPECT_TRUE(writer->Commit(6, digest.text(), {{"by", "two"}}).ok());
  EXPECT_EQ(Read(digest, "two"), "shared");
  EXPECT_EQ(content_->Info("two", digest)->labels, (Labels{{"by", "two"}}));
  EXPECT_TRUE(content_->Info("ns", digest)->labels.empty());
}

TEST_F(ContentStoreTest, AnotherTotalThanTheSharedBlobsMeansAnUpload) {
  const Digest digest = Ingest("shared");
  EXPECT_EQ(Writer("r", 7, digest.text(), {"two", ""})->status().offset_bytes, 0);
}

TEST_F(ContentStoreTest, ASharedBlobCanBeAppendedToAndStaysAsItWas) {
  const Digest digest = Ingest("shared");
  auto writer = Writer("r", 6, digest.text(), {"two", ""});
  ASSERT_TRUE(writer->Write(" and more").ok());
  EXPECT_EQ(writer->status().offset_bytes, 15);
  const auto longer = writer->Commit(15, Sha256("shared and more").text(), {});
  ASSERT_TRUE(longer.ok()) << longer.status();
  EXPECT_EQ(Read(*longer, "two"), "shared and more");
  EXPECT_EQ(Read(digest), "shared");
}

TEST_F(ContentStoreTest, ASharedBlobCanBeSentAllTheSame) {
  const Digest digest = Ingest("shared");
  auto writer = Writer("r", 6, digest.text(), {"two", ""});
  ASSERT_TRUE(writer->Reset().ok());
  EXPECT_EQ(writer->status().offset_bytes, 0);
  ASSERT_TRUE(writer->Write("shared").ok());
  EXPECT_TRUE(writer->Commit(6, digest.text(), {}).ok());
  EXPECT_EQ(Read(digest, "two"), "shared");
}

TEST_F(ContentStoreTest, IsolatedNamespacesMustSendWhatAnotherHasUnlessThatShares) {
  const Digest digest = Ingest("secret");
  content_.reset();
  content_ = *ContentStore::Open(ContentPath(), *store_, {.isolated = true});
  auto writer = Writer("r", 6, digest.text(), {"two", ""});
  EXPECT_EQ(writer->status().offset_bytes, 0) << "the bytes must come";
  EXPECT_EQ(writer->Commit(6, digest.text(), {}).status().code(), StatusCode::kFailedPrecondition);
  writer.reset();
  writer = Writer("r", 6, digest.text(), {"two", ""});
  ASSERT_TRUE(writer->Write("secret").ok());
  EXPECT_TRUE(writer->Commit(6, digest.text(), {}).ok());
  EXPECT_EQ(Read(digest, "two"), "secret");
  EXPECT_EQ(Read(digest, "ns"), "secret");

  const auto share = [&](const std::string& value) {
    ASSERT_TRUE(store_
                    ->Update([&](metadata::Writer& records) {
                      return records.Put("namespaces", "", "ns",
                                         metadata::EncodeNamespace(
                                             {{"containerd.io/namespace.shareable", value}}));
                    })
                    .ok());
  };
  share("yes");
  EXPECT_EQ(Writer("r", 6, digest.text(), {"three", ""})->status().offset_bytes, 0);
  share("true");
  ASSERT_TRUE(content_->Abort("three", "r").ok());
  writer = Writer("r", 6, digest.text(), {"three", ""});
  EXPECT_EQ(writer->status().offset_bytes, 6);
  EXPECT_TRUE(writer->Commit(6, digest.text(), {}).ok());
  EXPECT_EQ(Read(digest, "three"), "secret");
}

TEST_F(ContentStoreTest, ABlobThatItsNamespaceDeletedMeanwhileIsStillSharedWithWhoAskedForIt) {
  const Digest digest = Ingest("shared");
  auto writer = Writer("r", 6, digest.text(), {"two", ""});
  ASSERT_TRUE(content_->Delete(kNs, digest).ok());
  EXPECT_TRUE(writer->Commit(6, digest.text(), {}).ok());
  EXPECT_EQ(Read(digest, "two"), "shared");
}

}  // namespace
}  // namespace gantry::content
