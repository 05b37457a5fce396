#include "services/content/blob_record.h"

#include "base/errors.h"
#include "services/metadata/codec.h"

namespace gantry::content {
namespace {

// Numbers are for ever: a record written today is read by every later release.
enum Field : uint32_t { kSize = 1, kCreated = 2, kUpdated = 3, kLabel = 4, kStamp = 5 };
enum StampField : uint32_t { kInode = 1, kModified = 2, kChanged = 3 };

void PutStamp(WireWriter& writer, const FileStamp& stamp) {
  WireWriter nested;
  nested.Uint(kInode, stamp.inode);
  nested.Int(kModified, stamp.modified_ns);
  nested.Int(kChanged, stamp.changed_ns);
  writer.Bytes(kStamp, nested.bytes());
}

FileStamp GetStamp(absl::string_view bytes) {
  FileStamp stamp;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == kInode) stamp.inode = reader.uint();
    if (reader.field() == kModified) stamp.modified_ns = reader.integer();
    if (reader.field() == kChanged) stamp.changed_ns = reader.integer();
  }
  return stamp;
}

}  // namespace

std::string Encode(const BlobInfo& info) {
  WireWriter writer;
  writer.Int(kSize, info.size_bytes);
  metadata::PutTime(writer, kCreated, info.created_at);
  metadata::PutTime(writer, kUpdated, info.updated_at);
  metadata::PutLabels(writer, kLabel, info.labels);
  PutStamp(writer, info.stamp);
  return writer.Take();
}

absl::StatusOr<BlobInfo> DecodeBlob(absl::string_view digest, absl::string_view bytes) {
  BlobInfo info;
  GANTRY_ASSIGN_OR_RETURN(info.digest, Digest::Parse(digest));
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case kSize:
        info.size_bytes = reader.integer();
        break;
      case kCreated:
        info.created_at = metadata::GetTime(reader);
        break;
      case kUpdated:
        info.updated_at = metadata::GetTime(reader);
        break;
      case kLabel:
        info.labels.insert(reader.map_entry());
        break;
      case kStamp:
        info.stamp = GetStamp(reader.bytes());
        break;
      default:
        break;
    }
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), absl::StrCat("content ", digest)));
  return info;
}

absl::StatusOr<std::optional<BlobInfo>> FindBlob(const metadata::Reader& reader,
                                                 const std::string& ns, const Digest& digest) {
  GANTRY_ASSIGN_OR_RETURN(std::optional<std::string> bytes,
                          reader.Get(kBlobBucket, ns, digest.text()));
  if (!bytes.has_value() && !ns.empty()) {
    GANTRY_ASSIGN_OR_RETURN(bytes, reader.Get(kBlobBucket, "", digest.text()));
  }
  if (!bytes.has_value()) return std::optional<BlobInfo>();
  GANTRY_ASSIGN_OR_RETURN(BlobInfo info, DecodeBlob(digest.text(), *bytes));
  return std::optional<BlobInfo>(std::move(info));
}

absl::Status BlobNotFound(const Digest& digest) {
  return absl::NotFoundError(absl::StrCat("content digest ", digest.text(), ": not found"));
}

absl::Status BlobExists(const Digest& digest) {
  return absl::AlreadyExistsError(absl::StrCat("content ", digest.text(), ": already exists"));
}

}  // namespace gantry::content
