#ifndef GANTRY_SERVICES_SNAPSHOTS_RECORD_TABLE_H_
#define GANTRY_SERVICES_SNAPSHOTS_RECORD_TABLE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "services/metadata/store.h"
#include "services/snapshots/snapshot_record.h"

namespace gantry::snapshots {

// The records of one snapshotter in the metadata store, inside a transaction of the caller's.
// Errors of all: DataLoss for a record that cannot be read, and the store's.
class RecordTable {
 public:
  explicit RecordTable(std::string bucket) : bucket_(std::move(bucket)) {}

  [[nodiscard]] const std::string& bucket() const { return bucket_; }

  [[nodiscard]] absl::StatusOr<std::optional<Record>> Find(const metadata::Reader& reader,
                                                           const Scope& scope,
                                                           const std::string& name) const;
  // Errors: NotFound.
  [[nodiscard]] absl::StatusOr<Record> Get(const metadata::Reader& reader, const Scope& scope,
                                           const std::string& name) const;
  // Errors: NotFound; InvalidArgument for one that is not committed.
  [[nodiscard]] absl::StatusOr<Record> CommittedParent(const metadata::Reader& reader,
                                                       const Scope& scope,
                                                       const std::string& parent) const;
  // The directories of `parent` ("" for none) and its ancestors, nearest first.
  [[nodiscard]] absl::StatusOr<std::vector<uint64_t>> Lineage(const metadata::Reader& reader,
                                                              const Scope& scope,
                                                              std::string parent) const;
  absl::Status ForEach(const metadata::Reader& reader, const std::string& ns,
                       const std::function<absl::Status(Record record)>& body) const;

  absl::Status Put(metadata::Writer& writer, const Scope& scope, const Record& record) const;
  // A request makes `name`, so its lease holds it.
  absl::Status Hold(metadata::Writer& writer, const Scope& scope, const std::string& name) const;
  // What the request's lease held of a snapshot whose key is no more.
  absl::Status Release(metadata::Writer& writer, const Scope& scope, const std::string& key) const;

 private:
  const std::string bucket_;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_RECORD_TABLE_H_
