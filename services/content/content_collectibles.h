#ifndef GANTRY_SERVICES_CONTENT_CONTENT_COLLECTIBLES_H_
#define GANTRY_SERVICES_CONTENT_CONTENT_COLLECTIBLES_H_

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/digest.h"
#include "services/gc/gc.h"

namespace gantry::content {

class ContentStore;

// Blobs in a collection. A record goes when nothing in its namespace reaches it; the file when no
// namespace has a record of it: at the end of the transaction that took the last one away, and for
// records that clients deleted at the end of the collection. The first collection goes through all
// files, and so finds what a crash has left.
class BlobCollectible final : public gc::Collectible {
 public:
  // `content` outlives this.
  explicit BlobCollectible(ContentStore& content) : content_(content) {}

  // A record of `digest` was deleted. Thread-safe.
  void NoteDeleted(const Digest& digest);

  [[nodiscard]] std::string bucket() const override { return gc::kContentBucket; }
  [[nodiscard]] absl::StatusOr<gc::Links> LinksOf(const metadata::Reader& reader,
                                                  const gc::Node& node, absl::string_view bytes,
                                                  absl::Time now) const override;
  absl::StatusOr<bool> Remove(metadata::Writer& writer, const gc::Node& node) override;
  void Settle(bool committed) override;
  absl::Status Finish() override;

 private:
  absl::Status RemoveFilesWithoutRecord();
  void RemoveFile(const Digest& digest);

  ContentStore& content_;
  std::vector<Digest> removed_;  // in the transaction under way
  bool all_seen_ = false;
  std::mutex mutex_;
  std::set<Digest> deleted_;
};

// Uploads in a collection. One that no lease holds lives for a day after it was last opened; one
// that has a writer stays. Source: containerd metadata/content.go.
class IngestCollectible final : public gc::Collectible {
 public:
  explicit IngestCollectible(ContentStore& content) : content_(content) {}

  [[nodiscard]] std::string bucket() const override { return gc::kIngestBucket; }
  [[nodiscard]] absl::StatusOr<gc::Links> LinksOf(const metadata::Reader& reader,
                                                  const gc::Node& node, absl::string_view bytes,
                                                  absl::Time now) const override;
  absl::StatusOr<bool> Remove(metadata::Writer& writer, const gc::Node& node) override;
  void Settle(bool committed) override;

 private:
  ContentStore& content_;
  std::vector<std::string> locked_;  // keys of those removed in the transaction under way
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_CONTENT_COLLECTIBLES_H_
