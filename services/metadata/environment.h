#ifndef GANTRY_SERVICES_METADATA_ENVIRONMENT_H_
#define GANTRY_SERVICES_METADATA_ENVIRONMENT_H_

#include <lmdb.h>
#include <sys/file.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace gantry::metadata {

// LMDB's environment with its one database, and the lock that keeps other processes out.
class Environment {
 public:
  // `lock` is LockStore's. The file's first pages are set to `base`, a ReadBase of the same file,
  // before it is opened; empty leaves them.
  // Errors: DataLoss if the pages that are reached from there are damaged (nothing is changed
  // then).
  static absl::StatusOr<std::unique_ptr<Environment>> Open(const std::string& path,
                                                           size_t map_size_bytes, UniqueFd lock,
                                                           absl::string_view base);
  ~Environment();

  // The two pages that name the trees of the last transactions.
  [[nodiscard]] absl::StatusOr<std::string> ReadBase() const;
  // fdatasync(2) of the file: LMDB syncs nothing (MDB_NOSYNC). Any thread.
  [[nodiscard]] absl::Status SyncPages() const;

  // Keeps room on the disk behind the end of the file for commits to come, so that records can be
  // deleted, and with that space won, where a full disk has none left. Best effort; cheap when
  // there is nothing to do. For the thread that commits.
  void ReserveSpace();
  // Whether that much room is not there.
  [[nodiscard]] bool ShortOfSpace() const;

  [[nodiscard]] MDB_env* env() const { return env_; }
  [[nodiscard]] MDB_dbi dbi() const { return dbi_; }

 private:
  Environment(UniqueFd lock, std::string file, MDB_env* env)
      : lock_(std::move(lock)), file_(std::move(file)), env_(env) {}
  [[nodiscard]] uint64_t End() const;
  [[nodiscard]] int fd() const;

  UniqueFd lock_;
  std::string file_;
  MDB_env* env_;
  MDB_dbi dbi_ = 0;
  uint64_t reserved_ = 0;  // up to which byte of the file
};

// Keeps other processes from opening the store in the directory `path`, as long as it is held.
// Errors: FailedPrecondition if one has.
absl::StatusOr<UniqueFd> LockStore(const std::string& path);
// Held shared (LOCK_SH) by processes that read the store to copy it, alone (LOCK_EX) where a base
// is put back below them. Waits.
absl::StatusOr<UniqueFd> LockCopying(const std::string& path, int operation);

// What LMDB said, as a status: full map and full disk are ResourceExhausted, broken pages DataLoss.
absl::Status LmdbError(int code, absl::string_view what);

// A transaction that is aborted unless it is committed.
class Transaction {
 public:
  // `flags` is 0 or MDB_RDONLY; `parent` makes a nested one.
  static absl::StatusOr<Transaction> Begin(const Environment& environment, unsigned flags,
                                           MDB_txn* parent = nullptr);
  Transaction(Transaction&& other) noexcept
      : transaction_(std::exchange(other.transaction_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction() {
    if (transaction_ != nullptr) ::mdb_txn_abort(transaction_);
  }
  absl::Status Commit();
  [[nodiscard]] MDB_txn* get() const { return transaction_; }

 private:
  explicit Transaction(MDB_txn* transaction) : transaction_(transaction) {}
  MDB_txn* transaction_;
};

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_ENVIRONMENT_H_
