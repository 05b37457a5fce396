#include "services/content/content_writer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "services/content/blob_record.h"
#include "services/content/content_store.h"
#include "services/content/ingest_record.h"
#include "services/metadata/lease_resources.h"
#include "services/metadata/namespaces.h"

namespace gantry::content {

ContentWriter::~ContentWriter() { Release(); }

void ContentWriter::Release() {
  data_.reset();
  if (std::exchange(locked_, false)) store_.Unlock(key_);
}

absl::Status ContentWriter::Open() {
  const std::string path = store_.IngestPath(key_) + "/data";
  GANTRY_ASSIGN_OR_RETURN(data_, OpenFile(path, O_RDWR | O_CREAT, 0600));
  struct stat st {};
  if (::fstat(data_.get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  status_.offset_bytes = st.st_size;
  status_.updated_at = absl::TimeFromTimespec(st.st_mtim);
  if (!status_.expected.empty()) {
    GANTRY_ASSIGN_OR_RETURN(const Digest expected, Digest::Parse(status_.expected));
    algorithm_ = std::string(expected.algorithm());
  }
  return Rehash(algorithm_);
}

absl::Status ContentWriter::Rehash(absl::string_view algorithm) {
  GANTRY_ASSIGN_OR_RETURN(Digester digester, Digester::Create(algorithm));
  std::string buffer(status_.offset_bytes > 0 ? 1 << 20 : 0, '\0');
  for (int64_t offset = 0; offset < status_.offset_bytes;) {
    const ssize_t got = ::pread(data_.get(), buffer.data(), buffer.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, absl::StrCat("read back ingest ", status_.ref));
    if (got == 0) return absl::DataLossError(absl::StrCat("ingest ", status_.ref, " has shrunk"));
    digester.Update(absl::string_view(buffer.data(), static_cast<size_t>(got)));
    offset += got;
  }
  digester_ = std::move(digester);
  algorithm_ = std::string(algorithm);
  return absl::OkStatus();
}

absl::Status ContentWriter::Write(absl::string_view bytes) {
  if (shared_) {
    return absl::FailedPreconditionError(
        absl::StrCat("write to ref ", status_.ref, " @", status_.offset_bytes,
                     ": the content is whole: failed precondition"));
  }
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.write"));
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(data_.get(), bytes.data(), bytes.size(), status_.offset_bytes);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return ErrnoError(errno, absl::StrCat("write ingest ", status_.ref));
    digester_->Update(bytes.substr(0, static_cast<size_t>(put)));
    status_.offset_bytes += put;
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  status_.updated_at = absl::Now();
  // The kernel's own stamp is up to a tick old, and clients compare it with their clock.
  const struct timespec times[2] = {{0, UTIME_OMIT}, absl::ToTimespec(status_.updated_at)};
  if (::futimens(data_.get(), times) != 0) {
    return ErrnoError(errno, absl::StrCat("set the time of ingest ", status_.ref));
  }
  return absl::OkStatus();
}

Digest ContentWriter::CurrentDigest() const {
  if (!shared_) return digester_->Peek();
  const absl::StatusOr<Digest> whole = Digest::Parse(status_.expected);
  return whole.ok() ? *whole : Digest();
}

absl::Status ContentWriter::Reset() {
  if (shared_) {
    // The client wants to send the bytes all the same: an upload like any other begins.
    shared_ = false;
    status_.offset_bytes = 0;
    GANTRY_RETURN_IF_ERROR(MakeDirectories(store_.IngestPath(key_), 0700));
    GANTRY_RETURN_IF_ERROR(store_.store_.Update([&](metadata::Writer& writer) {
      return writer.Put(kIngestBucket, scope_.ns, status_.ref, Encode(status_));
    }));
    GANTRY_RETURN_IF_ERROR(Open());
  }
  if (::ftruncate(data_.get(), 0) != 0)
    return ErrnoError(errno, absl::StrCat("truncate ingest ", status_.ref));
  status_.offset_bytes = 0;
  status_.updated_at = absl::Now();
  return Rehash(algorithm_);
}

absl::StatusOr<Digest> ContentWriter::Commit(int64_t size_bytes, const std::string& expected,
                                             const Labels& labels) {
  GANTRY_RETURN_IF_ERROR(ValidateLabels(labels));
  Digest wanted;
  if (!expected.empty()) {
    GANTRY_ASSIGN_OR_RETURN(wanted, Digest::Parse(expected));
  }
  if (size_bytes > 0 && size_bytes != status_.offset_bytes) {
    return absl::FailedPreconditionError(absl::StrCat("unexpected commit size ",
                                                      status_.offset_bytes, ", expected ",
                                                      size_bytes, ": failed precondition"));
  }
  Digest digest;
  if (shared_) {
    GANTRY_ASSIGN_OR_RETURN(digest, Digest::Parse(status_.expected));
  } else {
    if (!wanted.empty() && wanted.algorithm() != algorithm_)
      GANTRY_RETURN_IF_ERROR(Rehash(wanted.algorithm()));
    digest = digester_->Finish();
  }
  if (!wanted.empty() && digest != wanted) {
    // The digester is used up; a client may go on writing after a refusal.
    if (!shared_) GANTRY_RETURN_IF_ERROR(Rehash(algorithm_));
    return absl::FailedPreconditionError(absl::StrCat("unexpected commit digest ", digest.text(),
                                                      ", expected ", wanted.text(),
                                                      ": failed precondition"));
  }
  absl::Status status = shared_ ? absl::OkStatus() : MakeBlob(digest);
  if (status.ok()) status = Record(digest, labels);
  if (!status.ok()) {
    if (absl::IsAlreadyExists(status)) DropIngest();
    Release();
    return status;
  }
  RemoveDirectory();
  Release();
  return digest;
}

absl::Status ContentWriter::MakeBlob(const Digest& digest) {
  const std::string data = store_.IngestPath(key_) + "/data";
  const std::string blob = store_.BlobPath(digest);
  if (::fchmod(data_.get(), 0444) != 0)
    return ErrnoError(errno, absl::StrCat("set the mode of ", data));
  if (::fdatasync(data_.get()) != 0) return ErrnoError(errno, absl::StrCat("sync ", data));
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.commit.synced"));
  if (::rename(data.c_str(), blob.c_str()) != 0) {
    if (errno == ENOENT) return IngestNotFound(status_.ref);
    return ErrnoError(errno, absl::StrCat("rename ", data, " to ", blob));
  }
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.commit.renamed"));
  return SyncDirectory(blob.substr(0, blob.rfind('/')));
}

absl::Status ContentWriter::Record(const Digest& digest, const Labels& labels) {
  BlobInfo info;
  info.digest = digest;
  info.size_bytes = status_.offset_bytes;
  info.created_at = info.updated_at = absl::Now();
  info.labels = labels;
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.commit.record"));
  return store_.store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<BlobInfo> found,
                            FindBlob(writer, scope_.ns, digest));
    if (found.has_value()) return BlobExists(digest);
    GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, scope_.ns));
    GANTRY_RETURN_IF_ERROR(writer.Put(kBlobBucket, scope_.ns, digest.text(), Encode(info)));
    GANTRY_RETURN_IF_ERROR(writer.Delete(kIngestBucket, scope_.ns, status_.ref).status());
    return metadata::AttachToLease(writer, scope_.ns, scope_.lease, "content", digest.text());
  });
}

void ContentWriter::DropIngest() {
  const absl::Status status = store_.store_.Update([&](metadata::Writer& writer) -> absl::Status {
    return writer.Delete(kIngestBucket, scope_.ns, status_.ref).status();
  });
  if (!status.ok()) LogWarn(status.message());
  RemoveDirectory();
}

void ContentWriter::RemoveDirectory() {
  if (absl::Status status = RemoveTree(store_.IngestPath(key_)); !status.ok())
    LogWarn(status.message());
}

}  // namespace gantry::content
