#ifndef GANTRY_SERVICES_CONTENT_BLOB_RECORD_H_
#define GANTRY_SERVICES_CONTENT_BLOB_RECORD_H_

#include <optional>

#include "services/content/content.h"
#include "services/metadata/store.h"

namespace gantry::content {

inline constexpr char kBlobBucket[] = "blobs";

std::string Encode(const BlobInfo& info);
absl::StatusOr<BlobInfo> DecodeBlob(absl::string_view digest, absl::string_view bytes);

// The record that `ns` has of `digest`, or that which is in no namespace and so in all.
absl::StatusOr<std::optional<BlobInfo>> FindBlob(const metadata::Reader& reader,
                                                 const std::string& ns, const Digest& digest);
absl::Status BlobNotFound(const Digest& digest);
absl::Status BlobExists(const Digest& digest);

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_BLOB_RECORD_H_
