#ifndef GANTRY_SERVICES_DIFF_FILE_STATE_H_
#define GANTRY_SERVICES_DIFF_FILE_STATE_H_

#include <sys/stat.h>

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "services/diff/entry.h"

namespace gantry::diff {

// A file as a layer can tell it: `entry` without name or hard link, and what identifies its inode.
struct FileState {
  Entry entry;
  struct stat st {};
};

// Whether layers carry the extended attribute `name`: user.*, trusted.*, POSIX ACLs and file
// capabilities, without what overlayfs keeps for itself and what belongs to one host (labels of
// SELinux, IMA).
bool IsLayerXattr(absl::string_view name);

// Reads `name` in the directory `at`, links not followed; nothing if it is not there. "." is the
// directory itself.
absl::StatusOr<std::optional<FileState>> ReadState(int at, const std::string& name);

// Whether the two are one file as far as a layer can tell. Files of one size with the same time are
// read where that time has no fraction, since it may have been cut (`at` and `name` tell where).
absl::StatusOr<bool> SameFile(const FileState& left, int left_at, const FileState& right,
                              int right_at, const std::string& name);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_FILE_STATE_H_
