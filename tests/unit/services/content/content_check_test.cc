#include "services/content/content_check.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "services/content/content_backup.h"
#include "services/metadata/store_copy.h"
#include "tests/unit/services/content/fixture.h"

namespace gantry::content {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ContentCheckTest : public ContentStoreTest {
 protected:
  // "kind subject" of each difference, with the store closed as it is when a daemon has ended.
  std::vector<std::string> Check(bool repair, bool digests = true) {
    content_.reset();
    findings_.clear();
    const check::Options options = {.repair = repair, .digests = digests};
    const auto checked =
        CheckContent(ContentPath(), *store_, options,
                     [this](const check::Finding& finding) { findings_.push_back(finding); });
    EXPECT_TRUE(checked.ok()) << checked.status();
    if (checked.ok()) checked_ = *checked;
    std::vector<std::string> lines;
    for (const check::Finding& finding : findings_) {
      lines.push_back(absl::StrCat(finding.kind, " ", finding.subject));
    }
    return lines;
  }
  void Overwrite(const Digest& digest, const std::string& bytes, bool truncate) {
    ASSERT_EQ(::chmod(BlobPath(digest).c_str(), 0644), 0);
    const UniqueFd file(
        ::open(BlobPath(digest).c_str(), O_WRONLY | O_CLOEXEC | (truncate ? O_TRUNC : 0)));
    ASSERT_EQ(::pwrite(file.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }

  std::vector<check::Finding> findings_;
  CheckedContent checked_;
};

TEST_F(ContentCheckTest, AStoreThatIsWholeHasNoDifferences) {
  Ingest("one");
  Ingest("two", Scope{"other", ""});
  { const auto upload = Writer("under-way"); }
  EXPECT_THAT(Check(false), IsEmpty());
  EXPECT_EQ(checked_.blobs, 2u);
  EXPECT_EQ(checked_.bytes, 6);
  EXPECT_EQ(checked_.ingests, 1u);
}

TEST_F(ContentCheckTest, EachKindOfDamageIsNamedAndNothingIsChangedUnlessAsked) {
  const Digest flipped = Ingest("flipped");
  const Digest cut = Ingest("cut short");
  const Digest gone = Ingest("gone");
  Overwrite(flipped, "F", false);
  Overwrite(cut, "cut", true);
  ASSERT_EQ(::unlink(BlobPath(gone).c_str()), 0);
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Check(false), testing::UnorderedElementsAre("content.damaged " + flipped.text(),
                                                            "content.short " + cut.text(),
                                                            "content.missing " + gone.text()));
  }
  for (const check::Finding& finding : findings_) {
    EXPECT_TRUE(finding.lost);
    EXPECT_EQ(finding.where, "ns");
    EXPECT_EQ(finding.mended, "");
  }
  EXPECT_THAT(Check(false, /*digests=*/false), testing::SizeIs(2)) << "a flip is not seen then";
}

TEST_F(ContentCheckTest, ARepairedBlobCanBeFetchedAgainAndTheBadFileIsKept) {
  const Digest digest = Ingest("precious");
  Ingest("precious", Scope{"other", ""});
  Overwrite(digest, "P", false);
  EXPECT_THAT(Check(true), ElementsAre("content.damaged " + digest.text()));
  EXPECT_EQ(findings_[0].where, "ns,other");
  EXPECT_THAT(findings_[0].mended, HasSubstr("pull it again"));
  EXPECT_EQ(ReadFile(ContentPath() + "/quarantine/sha256-" + std::string(digest.hex())).value(),
            "Precious");
  EXPECT_THAT(Check(true), IsEmpty());
  Reopen();
  EXPECT_EQ(content_->Info("other", digest).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Ingest("precious"), digest);
  EXPECT_EQ(Read(digest), "precious");
}

TEST_F(ContentCheckTest, WhatNoRecordNamesIsRemovedAndAnUploadWithoutDataForgotten) {
  const Digest digest = Ingest("kept");
  const std::string orphan = BlobPath(Sha256("orphan"));
  ASSERT_TRUE(WriteFileAtomic(orphan, "orphan", 0444, Durability::kNotDurable).ok());
  ASSERT_TRUE(MakeDirectories(ContentPath() + "/ingest/unknown").ok());
  { const auto upload = Writer("lost"); }
  const auto keys = ListDirectory(ContentPath() + "/ingest");
  ASSERT_TRUE(keys.ok());
  for (const std::string& key : *keys) {
    if (key == "unknown") continue;
    ASSERT_TRUE(RemoveTree(ContentPath() + "/ingest/" + key).ok());
  }
  EXPECT_THAT(Check(true), ElementsAre("content.orphan " + orphan, "ingest.missing lost",
                                       "ingest.orphan " + ContentPath() + "/ingest/unknown"));
  EXPECT_THAT(Check(true), IsEmpty());
  Reopen();
  EXPECT_EQ(Read(digest), "kept");
  EXPECT_EQ(content_->Status("ns", "lost").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ContentCheckTest, ABackupOfAStoreInUseHoldsWhatItsRecordsName) {
  const Digest digest = Ingest("kept");
  const auto upload = Writer("under-way");
  const std::string backup = dir_.path() + "/backup";
  ASSERT_TRUE(
      WriteFileAtomic(BlobPath(Sha256("no record")), "", 0444, Durability::kNotDurable).ok());
  ASSERT_TRUE(BackUpBlobs(ContentPath(), backup + "/content").ok());
  const absl::Status copied = metadata::CopyStore(MetadataPath(), backup + "/meta");
  ASSERT_TRUE(copied.ok()) << copied;
  EXPECT_EQ(metadata::CopyStore(MetadataPath(), backup + "/meta").code(),
            absl::StatusCode::kAlreadyExists);
  const Digest later = Ingest("made later");

  const auto records = metadata::Store::Open(backup + "/meta", {64 << 20});
  ASSERT_TRUE(records.ok()) << records.status();
  EXPECT_THAT(*MissingBlobs(backup + "/content", **records), IsEmpty());
  ASSERT_TRUE(TrimBackup(backup + "/content", **records).ok());
  EXPECT_EQ(ListDirectory(backup + "/content/blobs/sha256")->size(), 1u);
  const auto restored = ContentStore::Open(backup + "/content", **records);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ((*restored)->List("ns", {})->size(), 1u);
  EXPECT_TRUE((*restored)->Open("ns", digest).ok());
  EXPECT_THAT(*(*restored)->ListStatuses("ns", {}), IsEmpty());
  EXPECT_EQ((*restored)->Info("ns", later).status().code(), absl::StatusCode::kNotFound);
  // The store that was backed up goes on.
  EXPECT_EQ(Read(later), "made later");
}

}  // namespace
}  // namespace gantry::content
