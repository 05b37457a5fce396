#include "services/snapshots/record_table.h"

#include "base/errors.h"
#include "services/metadata/lease_resources.h"

namespace gantry::snapshots {

absl::StatusOr<std::optional<Record>> RecordTable::Find(const metadata::Reader& reader,
                                                        const Scope& scope,
                                                        const std::string& name) const {
  if (name.empty()) return std::optional<Record>();
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                          reader.Get(bucket_, scope.ns, name));
  if (!bytes.has_value()) return std::optional<Record>();
  GANTRY_ASSIGN_OR_RETURN(Record record, Decode(name, *bytes));
  return std::optional<Record>(std::move(record));
}

absl::StatusOr<Record> RecordTable::Get(const metadata::Reader& reader, const Scope& scope,
                                        const std::string& name) const {
  GANTRY_ASSIGN_OR_RETURN(std::optional<Record> record, Find(reader, scope, name));
  if (!record.has_value()) {
    return absl::NotFoundError(absl::StrCat("snapshot ", name, " does not exist: not found"));
  }
  return *std::move(record);
}

absl::StatusOr<Record> RecordTable::CommittedParent(const metadata::Reader& reader,
                                                    const Scope& scope,
                                                    const std::string& parent) const {
  GANTRY_ASSIGN_OR_RETURN(std::optional<Record> record, Find(reader, scope, parent));
  if (!record.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("parent snapshot ", parent, " does not exist: not found"));
  }
  if (record->info.kind != Kind::kCommitted) {
    return absl::InvalidArgumentError(
        absl::StrCat("parent \"", parent, "\" is not a committed snapshot: invalid argument"));
  }
  return *std::move(record);
}

absl::StatusOr<std::vector<uint64_t>> RecordTable::Lineage(const metadata::Reader& reader,
                                                           const Scope& scope,
                                                           std::string parent) const {
  std::vector<uint64_t> ids;
  while (!parent.empty()) {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> record, Find(reader, scope, parent));
    if (!record.has_value()) {
      return absl::DataLossError(
          absl::StrCat("snapshot ", parent, " is a parent and has no record"));
    }
    ids.push_back(record->id);
    parent = record->info.parent;
  }
  return ids;
}

absl::Status RecordTable::ForEach(const metadata::Reader& reader, const std::string& ns,
                                  const std::function<absl::Status(Record record)>& body) const {
  return reader.ForEach(bucket_, ns,
                        [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
                          GANTRY_ASSIGN_OR_RETURN(Record record, Decode(name, bytes));
                          return body(std::move(record));
                        });
}

absl::Status RecordTable::Put(metadata::Writer& writer, const Scope& scope,
                              const Record& record) const {
  return writer.Put(bucket_, scope.ns, record.info.name, Encode(record));
}

absl::Status RecordTable::Hold(metadata::Writer& writer, const Scope& scope,
                               const std::string& name) const {
  return metadata::AttachToLease(writer, scope.ns, scope.lease, bucket_, name);
}

absl::Status RecordTable::Release(metadata::Writer& writer, const Scope& scope,
                                  const std::string& key) const {
  if (scope.lease.empty()) return absl::OkStatus();
  return metadata::DetachFromLease(writer, scope.ns, scope.lease, {bucket_, key});
}

}  // namespace gantry::snapshots
