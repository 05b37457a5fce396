#include "services/metadata/journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temp_dir.h"
#include "base/unique_fd.h"

namespace gantry::metadata {
namespace {

class JournalTest : public testing::Test {
 protected:
  void Reopen() {
    journal_.reset();
    auto opened = Journal::Open(path_, {"first", true});
    ASSERT_TRUE(opened.ok()) << opened.status();
    journal_ = *std::move(opened);
    contents_ = journal_->TakeContents();
  }
  void Damage(off_t at) {
    const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CLOEXEC));
    char byte = 0;
    ASSERT_EQ(::pread(fd.get(), &byte, 1, at), 1);
    byte = static_cast<char>(~byte);
    ASSERT_EQ(::pwrite(fd.get(), &byte, 1, at), 1);
  }

  static constexpr off_t kSlot = 160 << 10;
  static constexpr off_t kRecords = 320 << 10;

  TempDir dir_ = *TempDir::Create("gantry-journal-test-");
  const std::string path_ = dir_.path() + "/journal";
  std::unique_ptr<Journal> journal_;
  Journal::Contents contents_;
};

TEST_F(JournalTest, ANewOneHasItsFirstBase) {
  EXPECT_FALSE(*Journal::Exists(path_));
  Reopen();
  EXPECT_TRUE(*Journal::Exists(path_));
  EXPECT_EQ(contents_.base.bytes, "first");
  EXPECT_TRUE(contents_.base.closed);
  EXPECT_TRUE(contents_.records.empty());
}

TEST_F(JournalTest, RecordsAreFoundInOrderUntilTheNextBase) {
  Reopen();
  ASSERT_TRUE(journal_->Begin({"second", false}).ok());
  const std::string large(2 << 20, 'x');  // more than there is room for
  for (const std::string& record : {std::string("one"), std::string(), large}) {
    ASSERT_TRUE(journal_->Append(record).ok());
  }
  Reopen();
  EXPECT_EQ(contents_.base.bytes, "second");
  EXPECT_FALSE(contents_.base.closed);
  EXPECT_EQ(contents_.records, (std::vector<std::string>{"one", "", large}));
  ASSERT_TRUE(journal_->Append("four").ok());
  Reopen();
  EXPECT_EQ(contents_.records.size(), 4u);
  ASSERT_TRUE(journal_->Begin({"third", false}).ok());
  Reopen();
  EXPECT_EQ(contents_.base.bytes, "third");
  EXPECT_TRUE(contents_.records.empty());
}

TEST_F(JournalTest, ARecordThatIsTakenBackIsNotFound) {
  Reopen();
  ASSERT_TRUE(journal_->Append("kept").ok());
  ASSERT_TRUE(journal_->Append("taken back").ok());
  journal_->TakeBack();
  Reopen();
  EXPECT_EQ(contents_.records, std::vector<std::string>{"kept"});
  ASSERT_TRUE(journal_->Append("next").ok());
  Reopen();
  EXPECT_EQ(contents_.records, (std::vector<std::string>{"kept", "next"}));
}

TEST_F(JournalTest, ADamagedRecordEndsTheRecords) {
  Reopen();
  for (const char* record : {"one", "two", "three"}) ASSERT_TRUE(journal_->Append(record).ok());
  Damage(kRecords + 104 + 96);  // each takes a header of 96 bytes and 8
  Reopen();
  EXPECT_EQ(contents_.records, std::vector<std::string>{"one"});
}

TEST_F(JournalTest, AHalfWrittenBaseLeavesTheOldOneWithItsRecords) {
  Reopen();
  ASSERT_TRUE(journal_->Begin({"second", false}).ok());
  ASSERT_TRUE(journal_->Append("one").ok());
  ASSERT_TRUE(journal_->Begin({"third", false}).ok());
  Damage(kSlot + 96);
  Reopen();
  EXPECT_EQ(contents_.base.bytes, "second");
  EXPECT_EQ(contents_.records, std::vector<std::string>{"one"});
}

TEST_F(JournalTest, ABaseThatIsLostAfterItHadRecordsIsAnErrorAndNotTheOneBefore) {
  Reopen();
  ASSERT_TRUE(journal_->Begin({"second", false}).ok());
  ASSERT_TRUE(journal_->Append("one").ok());
  Damage(96);
  journal_.reset();
  const auto opened = Journal::Open(path_, {});
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(opened.status().message().find(path_), absl::string_view::npos) << opened.status();
}

TEST_F(JournalTest, AFileWithoutABaseIsAnErrorThatNamesIt) {
  for (const std::string& bytes :
       {std::string(), std::string(1 << 20, '\0'), std::string("junk")}) {
    ASSERT_TRUE(WriteFileAtomic(path_, bytes, 0600, Durability::kNotDurable).ok());
    const auto opened = Journal::Open(path_, {});
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(opened.status().message().find(path_), absl::string_view::npos) << opened.status();
  }
}

}  // namespace
}  // namespace gantry::metadata
