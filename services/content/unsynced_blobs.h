#ifndef GANTRY_SERVICES_CONTENT_UNSYNCED_BLOBS_H_
#define GANTRY_SERVICES_CONTENT_UNSYNCED_BLOBS_H_

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "base/digest.h"
#include "base/unique_fd.h"
#include "services/metadata/store.h"

namespace gantry::content {

// Small blobs whose files the disk need not have yet. Their bytes are in the store, written by the
// transaction that makes their record: its commit is all that the client waits for, where the sync
// of a file and of its directory would take as long once more. Once there are enough of them one
// sync of the file system, by a thread of this, stands for all, and the bytes leave the store; what
// a power cut takes of a file before that is put back by RestoreUnsyncedBlobs at the next start.
//
// Thread-safe. What is left over when this goes is synced then.
class UnsyncedBlobs {
 public:
  static constexpr int64_t kMostBytes = 16 << 10;
  static constexpr size_t kBatch = 64;

  // `root` is the content store's, whose directories are there; `store` outlives this.
  static absl::StatusOr<std::unique_ptr<UnsyncedBlobs>> Open(const std::string& root,
                                                             metadata::Store& store);
  ~UnsyncedBlobs();
  UnsyncedBlobs(const UnsyncedBlobs&) = delete;
  UnsyncedBlobs& operator=(const UnsyncedBlobs&) = delete;

  // Whether a blob of that size may be left unsynced; not when the disk does not keep up.
  [[nodiscard]] bool Takes(int64_t size_bytes) const;
  // Keeps its bytes; in the transaction that makes the record.
  absl::Status Keep(metadata::Writer& writer, const Digest& digest, absl::string_view bytes);
  // That transaction is committed.
  void Add(const Digest& digest);

 private:
  UnsyncedBlobs(UniqueFd directory, metadata::Store& store);
  void Work();
  absl::Status Sync(const std::vector<Digest>& batch);

  const UniqueFd directory_;
  metadata::Store& store_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Digest> waiting_;
  // Made anew since the sync under way began, perhaps after the file that it syncs was removed.
  std::set<Digest> kept_meanwhile_;
  bool stopping_ = false;
  bool failed_ = false;  // for good: an error of the disk is told once, whatever it has lost
  std::thread thread_;
};

// Makes the files of all blobs whose bytes are in the store what their digests say, and durable.
// Before anybody reads from `root`.
absl::Status RestoreUnsyncedBlobs(const std::string& root, metadata::Store& store);

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_UNSYNCED_BLOBS_H_
