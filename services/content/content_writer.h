#ifndef GANTRY_SERVICES_CONTENT_CONTENT_WRITER_H_
#define GANTRY_SERVICES_CONTENT_CONTENT_WRITER_H_

#include <optional>
#include <string>

#include "services/content/blob_pins.h"
#include "services/content/content.h"
#include "services/metadata/store.h"

namespace gantry::content {

class ContentStore;

// The one writer of an upload. Not thread-safe. Going out of scope leaves the upload as it is, for
// resume.
class ContentWriter {
 public:
  ~ContentWriter();
  ContentWriter(const ContentWriter&) = delete;
  ContentWriter& operator=(const ContentWriter&) = delete;

  [[nodiscard]] const IngestStatus& status() const { return status_; }
  // The digest of what is there so far.
  [[nodiscard]] Digest CurrentDigest() const;
  // Appends. Errors: ResourceExhausted for a full disk; what was written by then counts.
  absl::Status Write(absl::string_view bytes);
  // Starts over.
  absl::Status Reset();
  // Drops the upload if the namespace has `expected` by now, and says AlreadyExists then.
  absl::Status DropIfKnown(const std::string& expected);
  // Verifies size (0: any) and digest (empty: any), makes the blob and its record, and drops the
  // upload. Durable when it returns. Errors: FailedPrecondition for another size or digest (the
  // upload stays); AlreadyExists if the namespace has the blob (the upload is dropped, the lease
  // holds the content); NotFound if the upload was aborted.
  absl::StatusOr<Digest> Commit(int64_t size_bytes, const std::string& expected,
                                const Labels& labels);

 private:
  friend class ContentStore;
  ContentWriter(ContentStore& store, Scope scope, std::string key, IngestStatus status)
      : store_(store), scope_(std::move(scope)), key_(std::move(key)), status_(std::move(status)) {}

  // Goes on with `found` where it was left, or makes the upload: directory, file, record.
  absl::Status Begin(const std::optional<IngestStatus>& found, bool restart);
  // Stands for a blob of `size_bytes` that another namespace has: nothing need be written. The pin
  // keeps its file.
  void Share(int64_t size_bytes, const FileStamp& stamp, BlobPins::Pin pin);
  // Makes an upload of its own out of a shared blob, with its first `keep_bytes` in it.
  absl::Status Unshare(int64_t keep_bytes);
  absl::Status OpenData(bool truncate);
  absl::Status PutRecord();
  // Makes it known without a record, which Release puts if the upload is not committed by then.
  absl::Status Announce();
  // Reads what is there already, so that the digest goes on from it.
  absl::Status Rehash(absl::string_view algorithm);
  // Stamps the file with `status_.updated_at`.
  absl::Status Touch();
  // Gives the data its name among the blobs, durably, or with `unsynced_` set to its bytes.
  absl::Status MakeBlob(const Digest& digest);
  absl::Status SyncBlob(const std::string& data, const std::string& blob, bool named);
  absl::Status Record(const Digest& digest, const Labels& labels);
  // Drops the upload because the namespace has `digest`, which the lease then holds: AlreadyExists,
  // or why that failed. Does nothing and says so by OK if the namespace has it no more.
  absl::Status DropAsKnown(const Digest& digest);
  void RemoveDirectory();
  void Release();

  ContentStore& store_;
  const Scope scope_;
  const std::string key_;
  IngestStatus status_;
  bool shared_ = false;
  BlobPins::Pin pin_;  // on what is about to be recorded
  bool locked_ = true;
  UniqueFd data_;
  std::optional<std::string> unsynced_;  // all bytes of a blob that its record has to keep
  FileStamp stamp_;                      // of the blob's file, once it is made
  std::string algorithm_ = "sha256";
  std::optional<Digester> digester_;
};

}  // namespace gantry::content

#endif  // GANTRY_SERVICES_CONTENT_CONTENT_WRITER_H_
