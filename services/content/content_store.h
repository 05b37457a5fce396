#ifndef GANTRY_SERVICES_CONTENT_CONTENT_STORE_H_
#define GANTRY_SERVICES_CONTENT_CONTENT_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "services/content/blob_pins.h"
#include "services/content/content.h"
#include "services/content/content_collectibles.h"
#include "services/content/content_writer.h"
#include "services/content/unsynced_blobs.h"
#include "services/metadata/store.h"

namespace gantry::content {

struct ContentOptions {
  // A namespace that wants a blob which another has must send its bytes, unless the other is
  // labelled containerd.io/namespace.shareable=true.
  bool isolated = false;
};

// Blobs by digest in <root>/blobs/<algorithm>/<hex>, shared by all namespaces and seen in one
// through its record; uploads in <root>/ingest/<key>/data. Thread-safe; calls block on the disk.
//
// Order of durable steps: a blob is synced and renamed into place before its record is committed,
// or its bytes are committed with the record (UnsyncedBlobs), so a record never names what is not
// there; what a crash leaves is an ingest to resume or a file without a record. Source: containerd
// docs/content-flow.md and the API's own comments.
//
// An empty namespace is how a daemon calls that keeps namespaces itself: what it makes is in none,
// and so is seen in all; what it looks for, changes or deletes is that of all.
class ContentStore : public ContentProvider {
 public:
  // `root` is made if missing; `store` outlives this.
  static absl::StatusOr<std::unique_ptr<ContentStore>> Open(const std::string& root,
                                                            metadata::Store& store,
                                                            const ContentOptions& options = {});

  absl::StatusOr<std::unique_ptr<BlobReader>> Open(const std::string& ns,
                                                   const Digest& digest) override;
  absl::StatusOr<std::unique_ptr<BlobMaker>> Make(const Scope& scope,
                                                  const std::string& ref) override;
  absl::StatusOr<BlobInfo> Info(const std::string& ns, const Digest& digest) const;
  // `paths`: labels, labels.KEY; none for all labels. Errors: NotFound; InvalidArgument for another
  // path.
  absl::StatusOr<BlobInfo> Update(const std::string& ns, const BlobInfo& wanted,
                                  const std::vector<std::string>& paths);
  // Fields for filters: digest, size, labels.
  absl::StatusOr<std::vector<BlobInfo>> List(const std::string& ns,
                                             const std::vector<std::string>& filters) const;
  // Removes the record, and what the request's lease holds of it; the bytes go at collection, also
  // where no namespace is left that has them. Errors: NotFound.
  absl::Status Delete(const Scope& scope, const Digest& digest);

  // Opens the upload `ref`, new or where it was left; one that was begun for another total
  // starts over. Where another namespace has `expected` already, the writer is at
  // its end at once and need only be committed. Errors: InvalidArgument; AlreadyExists if
  // `expected` is in the namespace (the upload is dropped then, and the lease holds the content);
  // Unavailable while another writer has it; NotFound if there is no such lease.
  absl::StatusOr<std::unique_ptr<ContentWriter>> OpenWriter(const Scope& scope,
                                                            const std::string& ref,
                                                            int64_t total_bytes,
                                                            const std::string& expected);
  // Has `ready` called once when no writer has the upload: at once, or by the thread that closes
  // its writer, so it must not block. Not called if its owner has let go of it by then.
  void WhenFree(const std::string& ns, const std::string& ref,
                const std::shared_ptr<const std::function<void()>>& ready);

  absl::StatusOr<IngestStatus> Status(const std::string& ns, const std::string& ref) const;
  // Field for filters: ref.
  absl::StatusOr<std::vector<IngestStatus>> ListStatuses(
      const std::string& ns, const std::vector<std::string>& filters) const;
  // Drops an upload; a writer that still has it cannot commit any more. Errors: NotFound.
  absl::Status Abort(const std::string& ns, const std::string& ref);

  // What a collection asks and removes; they live as long as this.
  [[nodiscard]] std::vector<gc::Collectible*> collectibles() { return {&blobs_, &ingests_}; }

 private:
  friend class BlobCollectible;
  friend class ContentWriter;
  friend class IngestCollectible;
  ContentStore(std::string root, metadata::Store& store, const ContentOptions& options)
      : root_(std::move(root)), store_(store), options_(options) {}

  std::string BlobPath(const Digest& digest) const;
  std::string IngestPath(const std::string& key) const;
  // Those of `ns` and none, or of all for an empty one, that have a record of `digest`. Errors:
  // NotFound if none has.
  absl::StatusOr<std::vector<std::string>> Holders(const metadata::Reader& reader,
                                                   const std::string& ns,
                                                   const Digest& digest) const;
  // The namespace that has an upload `ref`: `ns` unless it is empty. Errors: NotFound.
  absl::StatusOr<std::string> NamespaceOfIngest(const std::string& ns,
                                                const std::string& ref) const;
  // Takes up the uploads of an earlier life that have no record yet, and removes what is no upload.
  absl::Status AdoptIngests();
  // The record of `digest` in some namespace whose content others may have.
  absl::StatusOr<std::optional<BlobInfo>> FindShared(const metadata::Reader& reader,
                                                     const Digest& digest) const;
  // Whether any namespace has a record of `digest`.
  absl::StatusOr<bool> IsRecorded(const metadata::Reader& reader, const Digest& digest) const;
  struct Whole {
    UniqueFd fd;
    FileStamp stamp;
  };
  // The file of a blob, which is what `info` says: it is read through if it was changed since that
  // was last found out, and if the bytes are right the records are told. Errors: NotFound if there
  // is no file; DataLoss.
  absl::StatusOr<Whole> OpenWhole(const BlobInfo& info);
  absl::Status Stamp(const Digest& digest, const FileStamp& stamp);
  bool TryLock(const std::string& key);
  void Unlock(const std::string& key);
  // An upload has no record in the store before its first writer closes: most are committed by
  // then, and so cost one durable commit instead of two. Until then it is known from here, and
  // after a crash from the file that its directory has.
  void SetUnrecorded(const std::string& key, const std::string& ns, const IngestStatus& status);
  bool IsUnrecorded(const std::string& key);
  bool DropUnrecorded(const std::string& key);
  // Of an upload that has no record and that the caller has locked.
  absl::Status RemoveIngestFiles(const std::string& key);

  const std::string root_;
  metadata::Store& store_;
  const ContentOptions options_;
  BlobPins pins_;
  std::unique_ptr<UnsyncedBlobs> unsynced_;
  BlobCollectible blobs_{*this};
  IngestCollectible ingests_{*this};
  mutable std::mutex mutex_;
  struct Unrecorded {
    std::string ns;
    IngestStatus status;
  };
  struct Locked {
    std::vector<std::weak_ptr<const std::function<void()>>> waiting;  // for the writer to close
    std::optional<Unrecorded> unrecorded;
  };
  // The ingests that have a writer, by key.
  std::map<std::string, Locked> locked_;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_CONTENT_STORE_H_
