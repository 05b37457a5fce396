#include "services/metadata/commit_log.h"

#include <vector>

#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"

namespace gantry::metadata {
namespace {

// Each commit writes some pages anew, and those it replaces cannot be used before the next
// checkpoint: this many keep the file within some megabytes of what it holds.
constexpr int kCheckpointCommits = 256;

MDB_val ToVal(absl::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }

}  // namespace

void Mutations::Put(absl::string_view key, absl::string_view value) {
  WireWriter writer;
  writer.Open(1, WireWriter::ElementSize(1, key.size()) + WireWriter::ElementSize(2, value.size()));
  writer.Element(1, key);
  writer.Element(2, value);
  bytes_ += writer.bytes();
}

void Mutations::Delete(absl::string_view key) {
  WireWriter writer;
  writer.Element(2, key);
  bytes_ += writer.bytes();
}

absl::StatusOr<std::unique_ptr<CommitLog>> CommitLog::Open(const std::string& path,
                                                           size_t map_size_bytes) {
  GANTRY_RETURN_IF_ERROR(MakeDirectories(path, 0700));
  GANTRY_ASSIGN_OR_RETURN(UniqueFd lock, LockStore(path));
  const std::string file = path + "/journal";
  GANTRY_ASSIGN_OR_RETURN(const bool exists, Journal::Exists(file));
  std::unique_ptr<Journal> journal;
  Journal::Contents found;
  UniqueFd alone;
  if (exists) {
    GANTRY_ASSIGN_OR_RETURN(journal, Journal::Open(file, {}));
    found = journal->TakeContents();
    if (found.base.closed) {
      found = {};
    } else {
      // Who copies the store would be led astray, and its reader keep LMDB from counting anew.
      GANTRY_ASSIGN_OR_RETURN(alone, LockCopying(path, LOCK_EX));
    }
  }
  GANTRY_ASSIGN_OR_RETURN(
      std::unique_ptr<Environment> environment,
      Environment::Open(path, map_size_bytes, std::move(lock), found.base.bytes));
  if (journal == nullptr) {
    GANTRY_RETURN_IF_ERROR(environment->SyncPages());
    GANTRY_ASSIGN_OR_RETURN(std::string base, environment->ReadBase());
    GANTRY_ASSIGN_OR_RETURN(journal, Journal::Open(file, {std::move(base), /*closed=*/true}));
  }
  std::unique_ptr<CommitLog> log(new CommitLog(std::move(environment), std::move(journal)));
  GANTRY_ASSIGN_OR_RETURN(Transaction reader, Transaction::Begin(log->environment(), MDB_RDONLY));
  log->pinned_.emplace(std::move(reader));
  for (const std::string& record : found.records) {
    GANTRY_RETURN_IF_ERROR(Annotate(log->Replay(record), absl::StrCat("replay ", file)));
  }
  GANTRY_RETURN_IF_ERROR(log->Checkpoint());
  return log;
}

CommitLog::~CommitLog() {
  // What fails here the next Open does again.
  if (absl::Status made = MakeBase(/*closed=*/true); !made.ok()) LogWarn(made.message());
}

absl::Status CommitLog::Replay(absl::string_view record) {
  GANTRY_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(*environment_, 0));
  WireReader reader(record);
  while (reader.Next()) {
    absl::string_view key = reader.bytes();
    absl::string_view value;
    if (reader.field() == 1) {
      WireReader entry(reader.bytes());
      while (entry.Next()) (entry.field() == 1 ? key : value) = entry.bytes();
      GANTRY_RETURN_IF_ERROR(entry.status());
    }
    MDB_val to_key = ToVal(key);
    MDB_val to_value = ToVal(value);
    const int code = reader.field() == 1
                         ? ::mdb_put(transaction.get(), environment_->dbi(), &to_key, &to_value, 0)
                         : ::mdb_del(transaction.get(), environment_->dbi(), &to_key, nullptr);
    if (code != 0 && code != MDB_NOTFOUND) return LmdbError(code, "write a record");
  }
  GANTRY_RETURN_IF_ERROR(reader.status());
  return transaction.Commit();
}

absl::Status CommitLog::Prepare() {
  // Where the disk is full, pages that earlier commits gave up are all there is.
  if (journal_->usable() && !(commits_ > 0 && environment_->ShortOfSpace())) {
    return absl::OkStatus();
  }
  return Checkpoint();
}

absl::Status CommitLog::Commit(Transaction transaction, const Mutations& mutations, bool at_once) {
  if (mutations.empty()) return absl::OkStatus();
  GANTRY_RETURN_IF_ERROR(journal_->Append(mutations.bytes()));
  absl::Status status = FaultPoint("metadata.journal.appended");
  if (status.ok() && at_once) status = journal_->Sync();
  if (status.ok()) status = transaction.Commit();
  if (!status.ok()) {
    if (journal_->usable()) journal_->TakeBack();
    return status;
  }
  ++commits_;
  environment_->ReserveSpace();
  return absl::OkStatus();
}

bool CommitLog::CheckpointDue() const {
  return commits_ >= kCheckpointCommits || journal_->size() > Journal::kRoom / 2;
}

absl::Status CommitLog::MakeBase(bool closed) {
  GANTRY_RETURN_IF_ERROR(environment_->SyncPages());
  GANTRY_RETURN_IF_ERROR(FaultPoint("metadata.checkpoint.pages"));
  GANTRY_ASSIGN_OR_RETURN(std::string base, environment_->ReadBase());
  return journal_->Begin({std::move(base), closed});
}

absl::Status CommitLog::Checkpoint() {
  // The old checkpoint's pages are kept until the new one is on the disk.
  GANTRY_ASSIGN_OR_RETURN(Transaction reader, Transaction::Begin(*environment_, MDB_RDONLY));
  GANTRY_RETURN_IF_ERROR(Annotate(MakeBase(/*closed=*/false), "make a checkpoint"));
  pinned_.emplace(std::move(reader));
  commits_ = 0;
  return FaultPoint("metadata.checkpoint.made");
}

}  // namespace gantry::metadata
