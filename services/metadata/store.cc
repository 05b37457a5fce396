#include "services/metadata/store.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"
#include "base/digest.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "base/wire.h"
#include "services/metadata/commit_log.h"
#include "services/metadata/environment.h"

namespace gantry::metadata {
namespace {

constexpr uint64_t kFirstSchemaVersion = 1;
constexpr size_t kMaxName = 4096;
// LMDB's keys end at 511 bytes. A longer name is cut here and told apart by the digest of the
// whole; the whole is in the record.
constexpr size_t kMaxKey = 511;
constexpr size_t kDigestSize = 64;

// Key: bucket NUL namespace NUL name. Value: the record's name and bytes, as fields 1 and 2.
std::string Prefix(absl::string_view bucket, absl::string_view ns) {
  return absl::StrCat(bucket, absl::string_view("\0", 1), ns, absl::string_view("\0", 1));
}

absl::StatusOr<std::string> Key(absl::string_view bucket, absl::string_view ns,
                                absl::string_view name) {
  if (name.empty() || name.size() > kMaxName || name.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("name \"", name.substr(0, 64),
                                                   "\" is empty, longer than ", kMaxName,
                                                   " bytes or holds a NUL byte"));
  }
  std::string key = Prefix(bucket, ns);
  if (key.size() + kDigestSize > kMaxKey) {
    return absl::InvalidArgumentError(
        absl::StrCat("namespace \"", ns.substr(0, 64), "\" is too long"));
  }
  if (key.size() + name.size() <= kMaxKey) return key.append(name.data(), name.size());
  const size_t kept = kMaxKey - key.size() - kDigestSize;
  return absl::StrCat(key, name.substr(0, kept), Sha256(name).hex());
}

MDB_val ToVal(absl::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
absl::string_view FromVal(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

struct StoredRecord {
  absl::string_view name;
  absl::string_view value;
};

absl::StatusOr<StoredRecord> DecodeStored(const MDB_val& value) {
  StoredRecord record;
  WireReader reader(FromVal(value));
  while (reader.Next()) {
    if (reader.field() == 1) record.name = reader.bytes();
    if (reader.field() == 2) record.value = reader.bytes();
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), "metadata store"));
  return record;
}

class Cursor {
 public:
  static absl::StatusOr<Cursor> Open(MDB_txn* transaction, MDB_dbi dbi) {
    MDB_cursor* raw = nullptr;
    if (const int code = ::mdb_cursor_open(transaction, dbi, &raw); code != 0) {
      return LmdbError(code, "read the metadata store");
    }
    return Cursor(raw);
  }
  Cursor(Cursor&& other) noexcept : cursor_(std::exchange(other.cursor_, nullptr)) {}
  Cursor& operator=(Cursor&&) = delete;
  ~Cursor() {
    if (cursor_ != nullptr) ::mdb_cursor_close(cursor_);
  }
  // Moves to the first key that is not below `from`, or past the last key.
  absl::StatusOr<bool> Seek(absl::string_view from) {
    key = ToVal(from);
    return Move(MDB_SET_RANGE);
  }
  absl::StatusOr<bool> Next() { return Move(MDB_NEXT); }

  MDB_val key{};
  MDB_val value{};

 private:
  explicit Cursor(MDB_cursor* cursor) : cursor_(cursor) {}
  absl::StatusOr<bool> Move(MDB_cursor_op operation) {
    const int code = ::mdb_cursor_get(cursor_, &key, &value, operation);
    if (code == MDB_NOTFOUND) return false;
    if (code != 0) return LmdbError(code, "read the metadata store");
    return true;
  }
  MDB_cursor* cursor_;
};

}  // namespace

absl::StatusOr<std::optional<std::string>> Reader::Get(absl::string_view bucket,
                                                       absl::string_view ns,
                                                       absl::string_view name) const {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, Key(bucket, ns, name));
  MDB_val key = ToVal(text);
  MDB_val value;
  const int code = ::mdb_get(transaction_, environment_.dbi(), &key, &value);
  if (code == MDB_NOTFOUND) return std::optional<std::string>();
  if (code != 0) return LmdbError(code, absl::StrCat("read ", bucket, " record ", name));
  GANTRY_ASSIGN_OR_RETURN(const StoredRecord record, DecodeStored(value));
  return std::optional<std::string>(std::string(record.value));
}

absl::Status Reader::ForEach(
    absl::string_view bucket, absl::string_view ns,
    const std::function<absl::Status(absl::string_view name, absl::string_view value)>& body)
    const {
  const std::string prefix = Prefix(bucket, ns);
  GANTRY_ASSIGN_OR_RETURN(Cursor cursor, Cursor::Open(transaction_, environment_.dbi()));
  absl::StatusOr<bool> more = cursor.Seek(prefix);
  for (; more.ok() && *more; more = cursor.Next()) {
    if (!absl::StartsWith(FromVal(cursor.key), prefix)) break;
    GANTRY_ASSIGN_OR_RETURN(const StoredRecord record, DecodeStored(cursor.value));
    GANTRY_RETURN_IF_ERROR(body(record.name, record.value));
  }
  return more.status();
}

absl::StatusOr<std::vector<std::string>> Reader::Namespaces(absl::string_view bucket) const {
  const std::string prefix = absl::StrCat(bucket, absl::string_view("\0", 1));
  GANTRY_ASSIGN_OR_RETURN(Cursor cursor, Cursor::Open(transaction_, environment_.dbi()));
  std::vector<std::string> namespaces;
  absl::StatusOr<bool> more = cursor.Seek(prefix);
  while (more.ok() && *more) {
    absl::string_view rest = FromVal(cursor.key);
    if (!absl::ConsumePrefix(&rest, prefix)) break;
    namespaces.emplace_back(rest.substr(0, rest.find('\0')));
    // On to the first key past this namespace: its records end with NUL and a name, the next byte
    // is 1.
    more = cursor.Seek(absl::StrCat(prefix, namespaces.back(), "\1"));
  }
  if (!more.ok()) return more.status();
  return namespaces;
}

absl::StatusOr<bool> Reader::HasAny(absl::string_view bucket, absl::string_view ns) const {
  const std::string prefix = Prefix(bucket, ns);
  GANTRY_ASSIGN_OR_RETURN(Cursor cursor, Cursor::Open(transaction_, environment_.dbi()));
  GANTRY_ASSIGN_OR_RETURN(const bool found, cursor.Seek(prefix));
  return found && FromVal(cursor.key).substr(0, prefix.size()) == prefix;
}

absl::Status Writer::Put(absl::string_view bucket, absl::string_view ns, absl::string_view name,
                         absl::string_view value) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, Key(bucket, ns, name));
  WireWriter record;
  record.Bytes(1, name);
  record.Bytes(2, value);
  MDB_val key = ToVal(text);
  MDB_val bytes = ToVal(record.bytes());
  if (const int code = ::mdb_put(transaction_, environment_.dbi(), &key, &bytes, 0); code != 0) {
    return LmdbError(code, absl::StrCat("write ", bucket, " record ", name));
  }
  mutations_.Put(text, record.bytes());
  if (puts_.on) {
    puts_.names.push_back({std::string(bucket), std::string(ns), std::string(name)});
  }
  changes_.mutations = 1;
  return absl::OkStatus();
}

absl::StatusOr<bool> Writer::Delete(absl::string_view bucket, absl::string_view ns,
                                    absl::string_view name) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, Key(bucket, ns, name));
  MDB_val key = ToVal(text);
  const int code = ::mdb_del(transaction_, environment_.dbi(), &key, nullptr);
  if (code == MDB_NOTFOUND) return false;
  if (code != 0) return LmdbError(code, absl::StrCat("delete ", bucket, " record ", name));
  mutations_.Delete(text);
  changes_.mutations = 1;
  return true;
}

void Writer::RecordPuts(bool on) {
  puts_.on = on;
  puts_.names = {};
}

std::vector<RecordName> Writer::TakePuts() { return std::exchange(puts_.names, {}); }

absl::StatusOr<uint64_t> Writer::NextSequence(absl::string_view name) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> last, Get("sequences", "", name));
  uint64_t number = 0;
  if (last.has_value() && !absl::SimpleAtoi(*last, &number)) {
    return absl::DataLossError(absl::StrCat("sequence ", name, " is not a number"));
  }
  ++number;
  GANTRY_RETURN_IF_ERROR(Put("sequences", "", name, absl::StrCat(number)));
  return number;
}

Store::Store(std::unique_ptr<CommitLog> log)
    : log_(std::move(log)), checkpointer_([this] { MakeCheckpoints(); }) {}

Store::~Store() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  checkpoint_.notify_all();
  checkpointer_.join();
}

absl::StatusOr<std::unique_ptr<Store>> Store::Open(const std::string& path,
                                                   const StoreOptions& options) {
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<CommitLog> log,
                          CommitLog::Open(path, options.map_size_bytes));
  std::unique_ptr<Store> store(new Store(std::move(log)));
  GANTRY_RETURN_IF_ERROR(store->CheckSchema(options.schema_steps));
  return store;
}

absl::Status Store::CheckSchema(const std::vector<SchemaStep>& steps) {
  const uint64_t current = kFirstSchemaVersion + steps.size();
  std::optional<std::string> found;
  GANTRY_RETURN_IF_ERROR(View([&](const Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, reader.Get("meta", "", "schema"));
    return absl::OkStatus();
  }));
  uint64_t version = current;  // of a store that is new
  if (found.has_value() && (!absl::SimpleAtoi(*found, &version) || version == 0)) {
    return absl::DataLossError("the metadata store's schema version is not a number");
  }
  if (version > current) {
    return absl::FailedPreconditionError(absl::StrCat("the metadata store has schema version ",
                                                      version, ", this release knows ", current));
  }
  if (found.has_value() && version == current) return absl::OkStatus();
  return Annotate(
      Update([&](Writer& writer) -> absl::Status {
        for (uint64_t from = version; from < current; ++from) {
          GANTRY_RETURN_IF_ERROR(steps[from - kFirstSchemaVersion](writer));
        }
        return writer.Put("meta", "", "schema", absl::StrCat(current));
      }),
      absl::StrCat("upgrade the metadata store from schema version ", version, " to ", current));
}

absl::Status Store::View(const std::function<absl::Status(const Reader&)>& body) const {
  GANTRY_ASSIGN_OR_RETURN(const Transaction transaction,
                          Transaction::Begin(log_->environment(), MDB_RDONLY));
  return body(Reader(log_->environment(), transaction.get()));
}

absl::Status Store::Update(const std::function<absl::Status(Writer&)>& body, OnDisk on_disk) {
  Pending pending{&body, on_disk, absl::OkStatus()};
  std::unique_lock lock(mutex_);
  queue_.push_back(&pending);
  done_.wait(lock, [&] { return pending.done || !committing_; });
  if (pending.done) return pending.status;
  // Nobody is at it: this thread commits for all that wait. Handing that to a thread of its own
  // costs two switches, which is more than the transaction.
  committing_ = true;
  const std::vector<Pending*> batch(queue_.begin(), queue_.end());
  queue_.clear();
  lock.unlock();
  Commit(batch);
  lock.lock();
  committing_ = false;
  if (log_->CheckpointDue() && !checkpoint_due_) {
    checkpoint_due_ = true;
    checkpoint_.notify_one();
  }
  Changes changes;
  for (Pending* each : batch) {
    each->done = true;
    if (!each->status.ok()) continue;
    changes.mutations += each->changes.mutations;
    changes.deletions += each->changes.deletions;
  }
  // Before the bodies' callers go on, so that what they ask of the observer's owner comes after.
  if (observer_ != nullptr && changes.mutations > 0) observer_(changes);
  done_.notify_all();
  return pending.status;
}

void Store::SetObserver(std::function<void(const Changes&)> observer) {
  const std::lock_guard lock(mutex_);
  observer_ = std::move(observer);
}

void Store::Commit(const std::vector<Pending*>& batch) {
  const bool at_once = std::any_of(batch.begin(), batch.end(), [](const Pending* pending) {
    return pending->on_disk == OnDisk::kAtOnce;
  });
  absl::Status status = CommitBodies(batch, at_once);
  if (status.ok()) status = FaultPoint("metadata.commit.after");
  if (status.ok()) return;
  for (Pending* pending : batch) {
    if (pending->status.ok()) pending->status = status;
  }
}

absl::Status Store::CommitBodies(const std::vector<Pending*>& batch, bool at_once) {
  GANTRY_RETURN_IF_ERROR(log_->Prepare());
  const Environment& environment = log_->environment();
  GANTRY_ASSIGN_OR_RETURN(Transaction transaction, Transaction::Begin(environment, 0));
  Mutations mutations;
  for (Pending* pending : batch) {
    // Nested, so that a body that fails half-way takes back what it wrote and nothing of the
    // others'.
    absl::StatusOr<Transaction> nested = Transaction::Begin(environment, 0, transaction.get());
    if (!nested.ok()) {
      pending->status = nested.status();
      continue;
    }
    Mutations own;
    Writer writer(environment, nested->get(), own, puts_);
    pending->status = (*pending->body)(writer);
    if (!writer.hidden_) pending->changes = writer.changes_;
    if (pending->status.ok()) pending->status = nested->Commit();
    if (pending->status.ok()) mutations.Append(own);
  }
  GANTRY_RETURN_IF_ERROR(FaultPoint("metadata.commit.before"));
  return log_->Commit(std::move(transaction), mutations, at_once);
}

void Store::MakeCheckpoints() {
  std::unique_lock lock(mutex_);
  for (;;) {
    checkpoint_.wait(lock, [this] { return checkpoint_due_ || ending_; });
    if (ending_) return;
    lock.unlock();
    absl::Status made = log_->SyncPages();
    lock.lock();
    done_.wait(lock, [this] { return !committing_; });
    committing_ = true;
    lock.unlock();
    if (made.ok()) made = log_->Checkpoint();
    if (!made.ok()) LogWarn(made.message());
    lock.lock();
    committing_ = false;
    checkpoint_due_ = false;
    done_.notify_all();
  }
}

}  // namespace gantry::metadata
