#ifndef GANTRY_SERVICES_CONTENT_CONTENT_BACKUP_H_
#define GANTRY_SERVICES_CONTENT_CONTENT_BACKUP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "services/metadata/store.h"

namespace gantry::content {

// Puts the files of all blobs of the ContentStore in `root`, which may be in use, into the same
// places below `destination`: as hard links, since a blob never changes, or as copies (shared ones
// where the file system can) on another file system. What is there already stays. Durable when it
// returns.
absl::Status BackUpBlobs(const std::string& root, const std::string& destination);

// The blobs that `records` name and that have no file below `destination`.
absl::StatusOr<std::vector<Digest>> MissingBlobs(const std::string& destination,
                                                 const metadata::Store& records);

// Drops what the backup has no use for: the records of uploads, and the files of blobs that
// `records` do not name.
absl::Status TrimBackup(const std::string& destination, metadata::Store& records);

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_CONTENT_BACKUP_H_
