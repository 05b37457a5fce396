#ifndef GANTRY_SERVICES_CONTENT_INGEST_RECORD_H_
#define GANTRY_SERVICES_CONTENT_INGEST_RECORD_H_

#include <optional>

#include "services/content/content.h"
#include "services/metadata/store.h"

namespace gantry::content {

inline constexpr char kIngestBucket[] = "ingests";

// The durable part of an ingest; how far it is, its file tells. `status.updated_at` and
// `offset_bytes` are not kept.
std::string Encode(const IngestStatus& status);
// Until when an upload lives that no lease holds. Records of before this was kept count from when
// they were made.
absl::Time ExpiryOf(const IngestStatus& status);
inline constexpr absl::Duration kIngestLife = absl::Hours(24);
absl::StatusOr<IngestStatus> DecodeIngest(absl::string_view ref, absl::string_view bytes);
absl::StatusOr<std::optional<IngestStatus>> FindIngest(const metadata::Reader& reader,
                                                       const std::string& ns,
                                                       const std::string& ref);
// Deletes the record of `ref`, if there is one, and what leases hold of it. Whether there was one.
absl::StatusOr<bool> DropIngestRecord(metadata::Writer& writer, const std::string& ns,
                                      const std::string& ref);
absl::Status IngestNotFound(absl::string_view ref);

// The name of an ingest's directory: refs are free text and may be long.
std::string IngestKey(absl::string_view ns, absl::string_view ref);

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_INGEST_RECORD_H_
