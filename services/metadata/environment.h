#ifndef GANTRY_SERVICES_METADATA_ENVIRONMENT_H_
#define GANTRY_SERVICES_METADATA_ENVIRONMENT_H_

#include <lmdb.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace gantry::metadata {

// LMDB's environment with its one database, and the lock that keeps other processes out.
class Environment {
 public:
  static absl::StatusOr<std::unique_ptr<Environment>> Open(const std::string& path,
                                                           size_t map_size_bytes);
  ~Environment();

  // Keeps room on the disk behind the end of the file for commits to come, so that records can be
  // deleted, and with that space won, where a full disk has none left. Best effort; cheap when
  // there is nothing to do. For the thread that commits.
  void ReserveSpace();

  [[nodiscard]] MDB_env* env() const { return env_; }
  [[nodiscard]] MDB_dbi dbi() const { return dbi_; }

 private:
  Environment(UniqueFd lock, MDB_env* env) : lock_(std::move(lock)), env_(env) {}
  UniqueFd lock_;
  MDB_env* env_;
  MDB_dbi dbi_ = 0;
  uint64_t reserved_ = 0;  // up to which byte of the file
};

// What LMDB said, as a status: full map and full disk are ResourceExhausted, broken pages DataLoss.
absl::Status LmdbError(int code, absl::string_view what);

// A transaction that is aborted unless it is committed.
class Transaction {
 public:
  // `flags` is 0, MDB_RDONLY or MDB_NOMETASYNC; `parent` makes a nested one.
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
