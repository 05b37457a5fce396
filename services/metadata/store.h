#ifndef GANTRY_SERVICES_METADATA_STORE_H_
#define GANTRY_SERVICES_METADATA_STORE_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct MDB_txn;

namespace gantry::metadata {

class CommitLog;
class Environment;
class Mutations;

struct RecordName {
  std::string bucket;
  std::string ns;
  std::string name;

  auto operator<=>(const RecordName&) const = default;
};

// A consistent view of all records. A record lives in a bucket ("images"), under a namespace (""
// for what belongs to none) and a name of any length up to 4096 bytes without NUL. Good only inside
// the function that is given it.
class Reader {
 public:
  // Errors of all: InvalidArgument for a name that cannot be one; DataLoss or Internal with LMDB's
  // words.
  absl::StatusOr<std::optional<std::string>> Get(absl::string_view bucket, absl::string_view ns,
                                                 absl::string_view name) const;
  // Calls `body` for each record of `ns`, ordered by name, until it fails. `body` must not write.
  absl::Status ForEach(absl::string_view bucket, absl::string_view ns,
                       const std::function<absl::Status(absl::string_view name,
                                                        absl::string_view value)>& body) const;
  // The namespaces that have records in `bucket`, ordered.
  absl::StatusOr<std::vector<std::string>> Namespaces(absl::string_view bucket) const;
  absl::StatusOr<bool> HasAny(absl::string_view bucket, absl::string_view ns) const;

 protected:
  friend class Store;
  Reader(const Environment& environment, MDB_txn* transaction)
      : environment_(environment), transaction_(transaction) {}
  const Environment& environment_;
  MDB_txn* const transaction_;
};

// What bodies of Update did that were committed.
struct Changes {
  int mutations = 0;  // bodies that changed records
  int deletions = 0;  // calls of NoteDeletion
};

// The names of records that were put while somebody listens. Belongs to the thread that commits.
struct PutLog {
  bool on = false;
  std::vector<RecordName> names;
};

// The same, and may change records. What it has written it reads.
class Writer : public Reader {
 public:
  absl::Status Put(absl::string_view bucket, absl::string_view ns, absl::string_view name,
                   absl::string_view value);
  // Whether there was such a record.
  absl::StatusOr<bool> Delete(absl::string_view bucket, absl::string_view ns,
                              absl::string_view name);
  // 1, 2, 3, ... for each `name`; a number of a transaction that failed is given again.
  absl::StatusOr<uint64_t> NextSequence(absl::string_view name);

  // Says that this transaction takes away what may have held other records: a collection is due.
  void NoteDeletion() { ++changes_.deletions; }
  // Says that this transaction is the collector's own and is no reason for a collection.
  void HideChanges() { hidden_ = true; }
  // Starts or stops keeping the names of the records that are put, by this and all later bodies.
  void RecordPuts(bool on);
  // The names kept since the last call, among them those of bodies that have failed since.
  std::vector<RecordName> TakePuts();

 private:
  friend class Store;
  Writer(const Environment& environment, MDB_txn* transaction, Mutations& mutations, PutLog& puts)
      : Reader(environment, transaction), mutations_(mutations), puts_(puts) {}

  Mutations& mutations_;
  PutLog& puts_;
  Changes changes_;
  bool hidden_ = false;
};

// Brings the records of one schema version to the next.
using SchemaStep = std::function<absl::Status(Writer&)>;

struct StoreOptions {
  // The most the database may ever take; address space, not memory or disk.
  size_t map_size_bytes = size_t{16} << 30;
  // From version 1 to 2, from 2 to 3, ... up to what this release reads and writes.
  std::vector<SchemaStep> schema_steps = {};
};

// When what an Update has written is safe from a power cut. It is from a crash of the daemon in
// either case, and no order of updates is ever turned round.
enum class OnDisk {
  kAtOnce,
  // With the next update that is: no sync is made for this one. For what can be made anew, and
  // whose loss is found and mended at the next start.
  kWithNext,
};

// The daemon's records in one LMDB file: many readers that block nobody, one writer. Thread-safe.
class Store {
 public:
  // Opens or creates the database in the directory `path`, which is made if missing.
  // Errors: FailedPrecondition if another process has it open, or if its schema is of a later
  // release; DataLoss if it is no database or a broken one (nothing is changed then).
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& path,
                                                     const StoreOptions& options = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  absl::Status View(const std::function<absl::Status(const Reader&)>& body) const;

  // Runs `body` in a transaction and returns once it is on the disk. A body that fails changes
  // nothing. Bodies run one after another, on the thread of one of those who wait: they share one
  // commit, and with it one sync. A body must not do I/O, block, or call the store.
  absl::Status Update(const std::function<absl::Status(Writer&)>& body,
                      OnDisk on_disk = OnDisk::kAtOnce);

  // Has `observer` told after each commit, from the thread that made it: it must not block or call
  // the store. Null ends that; none runs any more when this returns.
  void SetObserver(std::function<void(const Changes&)> observer);

 private:
  struct Pending {
    const std::function<absl::Status(Writer&)>* body;
    OnDisk on_disk;
    absl::Status status;
    bool done = false;
    Changes changes;
  };
  explicit Store(std::unique_ptr<CommitLog> log);
  // Notes the version in a new store; takes an older one through the steps it lacks, all in one
  // transaction. Errors: FailedPrecondition for a newer one.
  absl::Status CheckSchema(const std::vector<SchemaStep>& steps);
  void Commit(const std::vector<Pending*>& batch);
  absl::Status CommitBodies(const std::vector<Pending*>& batch, bool at_once);
  // The thread that makes checkpoints.
  void MakeCheckpoints();

  std::unique_ptr<CommitLog> log_;
  std::mutex mutex_;
  std::condition_variable done_;
  std::deque<Pending*> queue_;
  bool committing_ = false;
  std::condition_variable checkpoint_;  // is due, or the store ends
  bool checkpoint_due_ = false;
  bool ending_ = false;
  std::thread checkpointer_;
  std::function<void(const Changes&)> observer_;
  PutLog puts_;
};

}  // namespace gantry::metadata

#endif  // GANTRY_SERVICES_METADATA_STORE_H_
