#include "services/content/upload_note.h"

#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/wire.h"
#include "services/content/ingest_record.h"

namespace gantry::content {
namespace {

enum Field : uint32_t { kNamespace = 1, kRef = 2, kStatus = 3 };

std::string NotePath(const std::string& directory) { return directory + "/note"; }

}  // namespace

absl::Status WriteUploadNote(const std::string& directory, const UploadNote& note) {
  WireWriter writer;
  writer.Bytes(kNamespace, note.ns);
  writer.Bytes(kRef, note.status.ref);
  writer.Element(kStatus, Encode(note.status));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd file,
                          OpenFile(NotePath(directory), O_WRONLY | O_CREAT | O_TRUNC, 0600));
  return WriteAll(file.get(), writer.bytes(), absl::StrCat("note of ingest ", note.status.ref));
}

std::optional<UploadNote> ReadUploadNote(const std::string& directory) {
  if (::access((directory + "/data").c_str(), F_OK) != 0) return std::nullopt;
  const absl::StatusOr<std::string> bytes = ReadFile(NotePath(directory));
  if (!bytes.ok()) return std::nullopt;
  UploadNote note;
  std::string ref;
  std::string status;
  WireReader reader(*bytes);
  while (reader.Next()) {
    if (reader.field() == kNamespace) note.ns = reader.str();
    if (reader.field() == kRef) ref = reader.str();
    if (reader.field() == kStatus) status = reader.str();
  }
  absl::StatusOr<IngestStatus> decoded = DecodeIngest(ref, status);
  if (!reader.status().ok() || !decoded.ok()) return std::nullopt;
  note.status = *std::move(decoded);
  return note;
}

}  // namespace gantry::content
