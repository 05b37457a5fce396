#ifndef GANTRY_SERVICES_METADATA_COMMIT_LOG_H_
#define GANTRY_SERVICES_METADATA_COMMIT_LOG_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/wire.h"
#include "services/metadata/environment.h"
#include "services/metadata/journal.h"

namespace gantry::metadata {

// What a transaction changes, in the order it was done.
class Mutations {
 public:
  void Put(absl::string_view key, absl::string_view value);
  void Delete(absl::string_view key);
  void Append(const Mutations& later) { bytes_ += later.bytes_; }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Makes commits durable with one sync of a few bytes, where LMDB's own way is two of scattered
// pages, and with none where none is asked for.
//
// LMDB is never asked to sync (MDB_NOSYNC). What a transaction changes goes to the journal first,
// which is synced; the pages reach the disk at some time in some order. Now and then there is a
// checkpoint: all pages are synced, and the file's first two pages, which name the trees, become
// the journal's base. A reader that stays at the checkpoint's transaction keeps LMDB from using any
// page of it again, so that on the disk its trees stay whole whatever else is half written.
// After any end but an orderly one, Open puts the two pages back and does again what the journal
// holds: the same way after kill -9, where nothing of it was lost, as after a power cut.
//
// For the thread that commits, but for what says otherwise.
// Source: lmdb 0.9.24 mdb.c (mdb_env_write_meta, mdb_page_alloc, mdb_find_oldest).
class CommitLog {
 public:
  // Errors: FailedPrecondition if another process has the store open; DataLoss for a database or a
  // journal that is damaged (nothing is changed then).
  static absl::StatusOr<std::unique_ptr<CommitLog>> Open(const std::string& path,
                                                         size_t map_size_bytes);
  // Ends in order if it can: the next Open has nothing to do again.
  ~CommitLog();

  [[nodiscard]] const Environment& environment() const { return *environment_; }

  // To be called before the transaction of a Commit begins.
  absl::Status Prepare();
  // Commits `transaction`, which has done `mutations`; safe from a power cut when it returns if
  // `at_once`, with the next such commit else. Nothing has changed if it fails.
  absl::Status Commit(Transaction transaction, const Mutations& mutations, bool at_once);

  // Whether a checkpoint should be made soon, so that the next start is quick and pages are used
  // again.
  [[nodiscard]] bool CheckpointDue() const;
  // Most of a checkpoint's work, done beside commits. Any thread.
  absl::Status SyncPages() const { return environment_->SyncPages(); }
  absl::Status Checkpoint();

 private:
  CommitLog(std::unique_ptr<Environment> environment, std::unique_ptr<Journal> journal)
      : environment_(std::move(environment)), journal_(std::move(journal)) {}
  absl::Status Replay(absl::string_view record);
  absl::Status MakeBase(bool closed);

  std::unique_ptr<Environment> environment_;
  std::unique_ptr<Journal> journal_;
  std::optional<Transaction> pinned_;
  int commits_ = 0;  // since the checkpoint
};

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_COMMIT_LOG_H_
