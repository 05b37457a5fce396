#include "services/snapshots/snapshot_record.h"

#include "base/errors.h"
#include "base/wire.h"

namespace gantry::snapshots {
namespace {

// Numbers are for ever: a record written today is read by every later release.
enum Field : uint32_t {
  kKind = 1,
  kParent = 2,
  kId = 3,
  kChildren = 4,
  kCreated = 5,
  kUpdated = 6,
  kLabel = 7,
  kSize = 8,
  kInodes = 9,
};

}  // namespace

std::string Encode(const Record& record) {
  WireWriter writer;
  writer.Uint(kKind, static_cast<uint64_t>(record.info.kind));
  writer.Bytes(kParent, record.info.parent);
  writer.Uint(kId, record.id);
  writer.Uint(kChildren, record.children);
  writer.Int(kCreated, absl::ToUnixNanos(record.info.created_at));
  writer.Int(kUpdated, absl::ToUnixNanos(record.info.updated_at));
  for (const auto& [key, value] : record.info.labels) writer.MapEntry(kLabel, key, value);
  writer.Int(kSize, record.usage.size_bytes);
  writer.Int(kInodes, record.usage.inodes);
  return writer.Take();
}

absl::StatusOr<Record> Decode(absl::string_view name, absl::string_view bytes) {
  Record record;
  record.info.name = std::string(name);
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case kKind:
        record.info.kind = static_cast<Kind>(reader.uint());
        break;
      case kParent:
        record.info.parent = reader.str();
        break;
      case kId:
        record.id = reader.uint();
        break;
      case kChildren:
        record.children = reader.uint();
        break;
      case kCreated:
        record.info.created_at = absl::FromUnixNanos(reader.integer());
        break;
      case kUpdated:
        record.info.updated_at = absl::FromUnixNanos(reader.integer());
        break;
      case kLabel:
        record.info.labels.insert(reader.map_entry());
        break;
      case kSize:
        record.usage.size_bytes = reader.integer();
        break;
      case kInodes:
        record.usage.inodes = reader.integer();
        break;
      default:
        break;
    }
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), absl::StrCat("snapshot ", name)));
  return record;
}

absl::Status RemoveRecord(metadata::Writer& writer, absl::string_view bucket, absl::string_view ns,
                          const Record& record) {
  if (!record.info.parent.empty()) {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                            writer.Get(bucket, ns, record.info.parent));
    // Where the parent is gone, which cannot be, removing the child is what mends it.
    if (bytes.has_value()) {
      GANTRY_ASSIGN_OR_RETURN(Record parent, Decode(record.info.parent, *bytes));
      if (parent.children > 0) --parent.children;
      GANTRY_RETURN_IF_ERROR(writer.Put(bucket, ns, parent.info.name, Encode(parent)));
    }
  }
  return writer.Delete(bucket, ns, record.info.name).status();
}

}  // namespace gantry::snapshots
