#ifndef GANTRY_SERVICES_CONTENT_CONTENT_H_
#define GANTRY_SERVICES_CONTENT_CONTENT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/identifiers.h"
#include "base/unique_fd.h"
#include "services/content/blob_file.h"

namespace gantry::content {

// The record of a blob in one namespace.
struct BlobInfo {
  Digest digest;
  int64_t size_bytes = 0;
  absl::Time created_at;
  absl::Time updated_at;
  Labels labels;
  FileStamp stamp;  // of the file whose bytes were found to be what the digest says
};

// An upload under way.
struct IngestStatus {
  std::string ref;
  int64_t offset_bytes = 0;
  int64_t total_bytes = 0;  // 0 if the client has not said
  std::string expected;     // the digest that the client expects; may be empty
  absl::Time started_at;
  absl::Time updated_at;
  std::vector<std::string> leases;  // which hold it
  absl::Time expires_at;            // when nobody need keep it; 1970 if only its leases say
};

// What a request brings along besides its fields.
struct Scope {
  std::string ns;
  std::string lease;  // what the request makes is held by this lease; may be empty
};

// A blob open for reading. Blobs never change, so a descriptor is good for as long as it is held.
class BlobReader {
 public:
  BlobReader(UniqueFd fd, uint64_t size) : fd_(std::move(fd)), size_(size) {}
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] uint64_t size() const { return size_; }

 private:
  UniqueFd fd_;
  uint64_t size_;
};

// A blob that the daemon itself makes. Going out of scope without Commit drops it.
class BlobMaker {
 public:
  virtual ~BlobMaker() = default;
  // Errors: ResourceExhausted for a full disk.
  virtual absl::Status Write(absl::string_view bytes) = 0;
  // Makes the blob with `labels`; where the namespace has it already, the labels are added to its
  // own. Durable when it returns. Call once, last.
  virtual absl::StatusOr<BlobInfo> Commit(const Labels& labels) = 0;
};

// What other services need of the content store.
class ContentProvider {
 public:
  virtual ~ContentProvider() = default;
  // Errors: NotFound if `digest` is not in `ns`, whatever other namespaces hold; DataLoss if the
  // file is gone, not as long as the record says, or was changed and is not what the digest says.
  virtual absl::StatusOr<std::unique_ptr<BlobReader>> Open(const std::string& ns,
                                                           const Digest& digest) = 0;
  // Starts a blob as the upload `ref`; what was there under it is dropped. Errors: Unavailable
  // while the upload has another writer.
  virtual absl::StatusOr<std::unique_ptr<BlobMaker>> Make(const Scope& scope,
                                                          const std::string& ref) = 0;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_CONTENT_H_
