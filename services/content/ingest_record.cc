#include "services/content/ingest_record.h"

#include "absl/strings/escaping.h"
#include "base/errors.h"
#include "services/metadata/codec.h"
#include "services/metadata/lease_resources.h"

namespace gantry::content {
namespace {

enum Field : uint32_t { kStarted = 1, kTotal = 2, kExpected = 3, kLease = 4, kExpires = 5 };

}  // namespace

std::string Encode(const IngestStatus& status) {
  WireWriter writer;
  metadata::PutTime(writer, kStarted, status.started_at);
  writer.Int(kTotal, status.total_bytes);
  writer.Bytes(kExpected, status.expected);
  for (const std::string& lease : status.leases) writer.Element(kLease, lease);
  writer.Int(kExpires, absl::ToUnixSeconds(status.expires_at));
  return writer.Take();
}

absl::Time ExpiryOf(const IngestStatus& status) {
  if (status.expires_at != absl::UnixEpoch()) return status.expires_at;
  return status.leases.empty() ? status.started_at + kIngestLife : absl::InfinitePast();
}

absl::StatusOr<IngestStatus> DecodeIngest(absl::string_view ref, absl::string_view bytes) {
  IngestStatus status;
  status.ref = std::string(ref);
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == kStarted) status.started_at = metadata::GetTime(reader);
    if (reader.field() == kTotal) status.total_bytes = reader.integer();
    if (reader.field() == kExpected) status.expected = reader.str();
    if (reader.field() == kLease) status.leases.push_back(reader.str());
    if (reader.field() == kExpires) status.expires_at = absl::FromUnixSeconds(reader.integer());
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), absl::StrCat("ingest ", ref)));
  return status;
}

absl::StatusOr<std::optional<IngestStatus>> FindIngest(const metadata::Reader& reader,
                                                       const std::string& ns,
                                                       const std::string& ref) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                          reader.Get(kIngestBucket, ns, ref));
  if (!bytes.has_value()) return std::optional<IngestStatus>();
  GANTRY_ASSIGN_OR_RETURN(IngestStatus status, DecodeIngest(ref, *bytes));
  return std::optional<IngestStatus>(std::move(status));
}

absl::StatusOr<bool> DropIngestRecord(metadata::Writer& writer, const std::string& ns,
                                      const std::string& ref) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<IngestStatus> found, FindIngest(writer, ns, ref));
  if (!found.has_value()) return false;
  for (const std::string& lease : found->leases) {
    GANTRY_RETURN_IF_ERROR(metadata::DetachFromLease(writer, ns, lease, {"ingests", ref}));
  }
  return writer.Delete(kIngestBucket, ns, ref);
}

absl::Status IngestNotFound(absl::string_view ref) {
  return absl::NotFoundError(absl::StrCat("reference ", absl::CHexEscape(ref), ": not found"));
}

std::string IngestKey(absl::string_view ns, absl::string_view ref) {
  // A namespace cannot hold a slash, so the first one ends it.
  return std::string(Sha256(absl::StrCat(ns, "/", ref)).hex());
}

}  // namespace gantry::content
