#include "daemon/backup_command.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <map>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "daemon/snapshots_part.h"
#include "services/content/content_backup.h"
#include "services/metadata/store.h"
#include "services/metadata/store_copy.h"
#include "services/snapshots/snapshot_backup.h"

namespace gantry::daemon {
namespace {

// A collection may remove what was just recorded: then newer records are taken.
constexpr int kTries = 5;

struct Result {
  std::vector<Digest> missing;
  snapshots::BackedUpSnapshots snapshots;
};

absl::Status RefuseWhatIsThere(const std::string& directory) {
  const absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  GANTRY_RETURN_IF_ERROR(names.status());
  if (names->empty()) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(directory, " is not empty"));
}

// Errors: Unavailable if something that the records name went away meanwhile.
absl::StatusOr<Result> Try(const Config& config, const std::string& directory, bool last) {
  Result result;
  const bool has_content = FindProxy(config.proxy_plugins, ProxyType::kContent) == nullptr;
  // Blobs before the records: one that is collected in between is not missed then.
  if (has_content) {
    GANTRY_RETURN_IF_ERROR(
        content::BackUpBlobs(absl::StrCat(config.root, "/content"), directory + "/content"));
  }
  GANTRY_RETURN_IF_ERROR(RemoveTree(directory + "/metadata"));
  GANTRY_RETURN_IF_ERROR(
      metadata::CopyStore(absl::StrCat(config.root, "/metadata"), directory + "/metadata"));
  GANTRY_ASSIGN_OR_RETURN(const std::unique_ptr<metadata::Store> records,
                          metadata::Store::Open(directory + "/metadata"));
  if (has_content) {
    // Again, for those that were made in between.
    GANTRY_RETURN_IF_ERROR(
        content::BackUpBlobs(absl::StrCat(config.root, "/content"), directory + "/content"));
    GANTRY_ASSIGN_OR_RETURN(result.missing,
                            content::MissingBlobs(directory + "/content", *records));
    if (!result.missing.empty() && !last) {
      return absl::UnavailableError(
          absl::StrCat("content ", result.missing[0].text(), " went away"));
    }
    GANTRY_RETURN_IF_ERROR(content::TrimBackup(directory + "/content", *records));
  }
  // To where a daemon looks for them that is given the backup as its root and nothing else.
  Config restored;
  restored.root = directory;
  std::map<std::string, std::string> to = SnapshotsPart::Roots(restored);
  for (const auto& [name, root] : SnapshotsPart::Roots(config)) {
    GANTRY_ASSIGN_OR_RETURN(const snapshots::BackedUpSnapshots done,
                            snapshots::BackUpSnapshots(root, to[name], name, *records));
    result.snapshots.kept += done.kept;
    result.snapshots.dropped += done.dropped;
  }
  return result;
}

// The identity of the installation, which a root that takes the place of another keeps.
absl::Status CopyUuid(const std::string& root, const std::string& directory) {
  const absl::StatusOr<std::string> uuid = ReadFile(root + "/uuid", 4096);
  if (absl::IsNotFound(uuid.status())) return absl::OkStatus();
  GANTRY_RETURN_IF_ERROR(uuid.status());
  return WriteFileAtomic(directory + "/uuid", *uuid, 0644, Durability::kDurable);
}

absl::StatusOr<Result> BackUp(const Config& config, const std::string& directory) {
  GANTRY_RETURN_IF_ERROR(RefuseWhatIsThere(directory));
  GANTRY_RETURN_IF_ERROR(MakeDirectories(directory, 0711));
  absl::StatusOr<Result> result = absl::UnavailableError("");
  for (int tried = 1; absl::IsUnavailable(result.status()) && tried <= kTries; ++tried) {
    result = Try(config, directory, tried == kTries);
  }
  GANTRY_RETURN_IF_ERROR(result.status());
  GANTRY_RETURN_IF_ERROR(CopyUuid(config.root, directory));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(directory, O_RDONLY | O_DIRECTORY));
  if (::syncfs(fd.get()) != 0) return ErrnoError(errno, absl::StrCat("sync ", directory));
  return result;
}

}  // namespace

int RunBackup(const Config& config, const std::string& directory) {
  const absl::StatusOr<Result> result = BackUp(config, directory);
  if (!result.ok()) {
    std::fprintf(stderr, "gantryd: backup to %s: %s\n", directory.c_str(),
                 std::string(result.status().message()).c_str());
    return 1;
  }
  for (const Digest& digest : result->missing) {
    std::fprintf(stderr, "gantryd: backup: content %s has a record and no file\n",
                 digest.text().c_str());
  }
  std::printf("backed up %s to %s: %zu snapshots, %zu active ones or views left out\n",
              config.root.c_str(), directory.c_str(), result->snapshots.kept,
              result->snapshots.dropped);
  return result->missing.empty() ? 0 : 1;
}

}  // namespace gantry::daemon
