#ifndef GANTRY_SERVICES_CONTENT_UPLOAD_NOTE_H_
#define GANTRY_SERVICES_CONTENT_UPLOAD_NOTE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "services/content/content.h"

namespace gantry::content {

// What the directory of an upload that has no record yet says about itself, for the next start
// after a crash of the daemon. Not synced: an upload need not survive a power cut.
struct UploadNote {
  std::string ns;
  IngestStatus status;
};

absl::Status WriteUploadNote(const std::string& directory, const UploadNote& note);
// None if the note is missing or cannot be read, or if the upload's data are gone.
std::optional<UploadNote> ReadUploadNote(const std::string& directory);

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_UPLOAD_NOTE_H_
