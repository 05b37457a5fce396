// What is found after a power cut. A disk keeps what was synced; of everything written later it
// has, for each page of the database and each sector of the journal, any version there has been
// since. The test makes such disks from the files of a log that is at work, and opens them.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <random>

#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "services/metadata/commit_log.h"
#include "services/metadata/page_check.h"

namespace gantry::metadata {
namespace {

using Records = std::map<std::string, std::string>;

constexpr size_t kMapSize = size_t{64} << 20;
constexpr size_t kPage = 4096;
constexpr size_t kSector = 512;

MDB_val ToVal(absl::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }

Records ReadAll(const CommitLog& log) {
  Records records;
  const auto transaction = Transaction::Begin(log.environment(), MDB_RDONLY);
  MDB_cursor* cursor = nullptr;
  EXPECT_EQ(::mdb_cursor_open(transaction->get(), log.environment().dbi(), &cursor), 0);
  MDB_val key;
  MDB_val value;
  while (::mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
    records.emplace(std::string(static_cast<const char*>(key.mv_data), key.mv_size),
                    std::string(static_cast<const char*>(value.mv_data), value.mv_size));
  }
  ::mdb_cursor_close(cursor);
  return records;
}

// A file as it was at a sync, and after each write since.
class Versions {
 public:
  void Synced(std::string bytes) { versions_ = {std::move(bytes)}; }
  void Written(std::string bytes) { versions_.push_back(std::move(bytes)); }

  // A file of which each block is of some version, and so is its length.
  std::string AfterACut(size_t block, std::mt19937& random) const {
    const auto any = [&]() -> const std::string& { return versions_[random() % versions_.size()]; };
    std::string bytes(any().size(), '\0');
    for (size_t at = 0; at < bytes.size(); at += block) {
      const std::string& from = any();
      if (at >= from.size()) continue;
      const size_t size = std::min({block, from.size() - at, bytes.size() - at});
      bytes.replace(at, size, from, at, size);
    }
    return bytes;
  }

 private:
  std::vector<std::string> versions_;
};

class PowerCutTest : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    log_ = *CommitLog::Open(dir_.path(), kMapSize);
    Synced();
  }
  std::string Database() const { return *ReadFile(dir_.path() + "/meta.mdb", kMapSize); }
  std::string JournalFile() const { return *ReadFile(dir_.path() + "/journal", kMapSize); }
  void Synced() {
    database_.Synced(Database());
    journal_.Synced(JournalFile());
    states_ = {records_};
  }

  void Update(bool at_once) {
    ASSERT_TRUE(log_->Prepare().ok());
    auto transaction = *Transaction::Begin(log_->environment(), 0);
    Mutations mutations;
    for (int i = random_() % 6; i >= 0; --i) {
      const std::string name = absl::StrCat("record-", random_() % 300);
      MDB_val key = ToVal(name);
      if (random_() % 3 == 0) {
        if (::mdb_del(transaction.get(), log_->environment().dbi(), &key, nullptr) != 0) continue;
        mutations.Delete(name);
        records_.erase(name);
        continue;
      }
      const std::string bytes(random_() % 8 == 0 ? random_() % 20000 : random_() % 400,
                              static_cast<char>('a' + random_() % 26));
      MDB_val value = ToVal(bytes);
      ASSERT_EQ(::mdb_put(transaction.get(), log_->environment().dbi(), &key, &value, 0), 0);
      mutations.Put(name, bytes);
      records_[name] = bytes;
    }
    ASSERT_TRUE(log_->Commit(std::move(transaction), mutations, at_once).ok());
    database_.Written(Database());
    if (at_once) {
      journal_.Synced(JournalFile());
      states_.clear();
    } else {
      journal_.Written(JournalFile());
    }
    states_.push_back(records_);
  }

  // `during`: the journal's new base was not all on the disk yet.
  void Checkpoint(bool during) {
    const std::string before = Database();
    ASSERT_TRUE(log_->Checkpoint().ok());
    if (!during) return Synced();
    database_.Synced(before);
    journal_.Written(JournalFile());
  }

  void CutAndOpen() {
    const TempDir disk = *TempDir::Create("gantry-power-cut-");
    const auto put = [&disk](const std::string& name, const std::string& bytes) {
      ASSERT_TRUE(WriteFileAtomic(disk.path() + name, bytes, 0600, Durability::kNotDurable).ok());
    };
    put("/meta.mdb", database_.AfterACut(kPage, random_));
    put("/journal", journal_.AfterACut(kSector, random_));
    if (random_() % 3 == 0) {  // and a start that comes as far as its first sync
      ASSERT_TRUE(ArmFault("metadata.checkpoint.pages", "EIO").ok());
      EXPECT_FALSE(CommitLog::Open(disk.path(), kMapSize).ok());
      DisarmFaults();
    }
    for (int start = 0; start < 2; ++start) {
      const auto log = CommitLog::Open(disk.path(), kMapSize);
      ASSERT_TRUE(log.ok()) << log.status();
      const Records found = ReadAll(**log);
      EXPECT_NE(std::find(states_.begin(), states_.end(), found), states_.end())
          << found.size() << " records; " << records_.size() << " at the time of the cut, "
          << states_.size() << " states are allowed";
    }
    EXPECT_TRUE(CheckPages(disk.path() + "/meta.mdb").ok());
  }

  TempDir dir_ = *TempDir::Create("gantry-power-cut-test-");
  std::unique_ptr<CommitLog> log_;
  std::mt19937 random_{static_cast<unsigned>(GetParam())};
  Versions database_;
  Versions journal_;
  Records records_;
  // From what was promised last up to now, one after each update.
  std::vector<Records> states_;
};

TEST_P(PowerCutTest, WhatWasPromisedIsThereAndNothingIsHalfDone) {
  for (int step = 0; step < 60; ++step) {
    const unsigned what = random_() % 10;
    if (what == 0) {
      const bool during = random_() % 2 == 0;
      Checkpoint(during);
      if (during) {
        CutAndOpen();
        Checkpoint(/*during=*/false);
      }
    } else {
      Update(/*at_once=*/what < 5);
    }
    if (HasFatalFailure()) return;
    if (random_() % 4 == 0) CutAndOpen();
    if (HasFailure()) FAIL() << "at step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PowerCutTest, testing::Range(1, 9));

}  // namespace
}  // namespace gantry::metadata
