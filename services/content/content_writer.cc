#include "services/content/content_writer.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "base/positioned_io.h"
#include "services/content/blob_record.h"
#include "services/content/content_store.h"
#include "services/content/ingest_record.h"
#include "services/content/upload_note.h"
#include "services/metadata/lease_resources.h"
#include "services/metadata/namespaces.h"

namespace gantry::content {
namespace {

constexpr size_t kCopyBytes = 1 << 20;

}  // namespace

ContentWriter::~ContentWriter() { Release(); }

void ContentWriter::Release() {
  data_.reset();
  pin_ = {};
  if (locked_ && store_.IsUnrecorded(key_)) {
    const absl::Status recorded = PutRecord();
    // Of an upload whose lease is gone nothing is kept; any other is found at the next start.
    if (absl::IsNotFound(recorded)) {
      RemoveDirectory();
    } else if (!recorded.ok()) {
      LogWarn(recorded.message(), {{"ref", status_.ref}});
    }
    store_.DropUnrecorded(key_);
  }
  if (std::exchange(locked_, false)) store_.Unlock(key_);
}

absl::Status ContentWriter::Begin(const std::optional<IngestStatus>& found, bool restart) {
  if (found.has_value()) {
    status_.leases = found->leases;
    if (!restart) {
      status_.started_at = found->started_at;
      // The total is that of the first writer, as in containerd: what a later one says is checked
      // at its commit. Kept, it would have the next writer throw away what is there.
      status_.total_bytes = found->total_bytes;
      if (status_.expected.empty()) status_.expected = found->expected;
    }
  }
  if (!scope_.lease.empty() && std::find(status_.leases.begin(), status_.leases.end(),
                                         scope_.lease) == status_.leases.end()) {
    status_.leases.push_back(scope_.lease);
  }
  if (found.has_value()) status_.expires_at = found->expires_at;
  // Each writer without a lease gives the upload another day; to the hour, so that one that goes on
  // where another has just stopped need not write it down.
  const absl::Time expires = absl::Now() + kIngestLife;
  if (scope_.lease.empty() && status_.expires_at < expires - absl::Hours(1)) {
    status_.expires_at = expires;
  }
  GANTRY_RETURN_IF_ERROR(MakeDirectories(store_.IngestPath(key_), 0700));
  GANTRY_RETURN_IF_ERROR(OpenData(restart || !found.has_value()));
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.ingest.directory"));
  if (found.has_value() && Encode(status_) == Encode(*found)) return absl::OkStatus();
  if (found.has_value()) return PutRecord();
  const absl::Status announced = Announce();
  if (!announced.ok()) RemoveDirectory();
  return announced;
}

absl::Status ContentWriter::Announce() {
  if (!scope_.lease.empty()) {
    GANTRY_RETURN_IF_ERROR(store_.store_.View([&](const metadata::Reader& reader) {
      return metadata::CheckLease(reader, scope_.ns, scope_.lease);
    }));
  }
  GANTRY_RETURN_IF_ERROR(WriteUploadNote(store_.IngestPath(key_), {scope_.ns, status_}));
  store_.SetUnrecorded(key_, scope_.ns, status_);
  return absl::OkStatus();
}

absl::Status ContentWriter::PutRecord() {
  GANTRY_RETURN_IF_ERROR(store_.store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, scope_.ns));
    GANTRY_RETURN_IF_ERROR(
        metadata::AttachToLease(writer, scope_.ns, scope_.lease, "ingests", status_.ref));
    return writer.Put(kIngestBucket, scope_.ns, status_.ref, Encode(status_));
  }));
  return FaultPoint("content.ingest.recorded");
}

absl::Status ContentWriter::OpenData(bool truncate) {
  const std::string path = store_.IngestPath(key_) + "/data";
  GANTRY_ASSIGN_OR_RETURN(data_, OpenFile(path, O_RDWR | O_CREAT | (truncate ? O_TRUNC : 0), 0600));
  struct stat st {};
  if (::fstat(data_.get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", path));
  status_.offset_bytes = st.st_size;
  if (st.st_size > 0) {
    status_.updated_at = absl::TimeFromTimespec(st.st_mtim);
  } else {
    GANTRY_RETURN_IF_ERROR(Touch());
  }
  if (!status_.expected.empty()) {
    GANTRY_ASSIGN_OR_RETURN(const Digest expected, Digest::Parse(status_.expected));
    algorithm_ = std::string(expected.algorithm());
  }
  return Rehash(algorithm_);
}

absl::Status ContentWriter::Touch() {
  // The kernel's own stamp is up to a tick old, and clients compare it with their clock.
  const struct timespec times[2] = {{0, UTIME_OMIT}, absl::ToTimespec(status_.updated_at)};
  if (::futimens(data_.get(), times) != 0)
    return ErrnoError(errno, absl::StrCat("set the time of ingest ", status_.ref));
  return absl::OkStatus();
}

absl::Status ContentWriter::Rehash(absl::string_view algorithm) {
  GANTRY_ASSIGN_OR_RETURN(Digester digester, Digester::Create(algorithm));
  std::string buffer(status_.offset_bytes > 0 ? kCopyBytes : 0, '\0');
  for (int64_t offset = 0; offset < status_.offset_bytes;) {
    GANTRY_ASSIGN_OR_RETURN(const size_t got,
                            ReadAt(data_.get(), buffer.data(), buffer.size(), offset,
                                   absl::StrCat("read back ingest ", status_.ref)));
    if (got == 0) return absl::DataLossError(absl::StrCat("ingest ", status_.ref, " has shrunk"));
    digester.Update(absl::string_view(buffer.data(), got));
    offset += static_cast<int64_t>(got);
  }
  digester_ = std::move(digester);
  algorithm_ = std::string(algorithm);
  return absl::OkStatus();
}

void ContentWriter::Share(int64_t size_bytes, const FileStamp& stamp, BlobPins::Pin pin) {
  shared_ = true;
  stamp_ = stamp;
  pin_ = std::move(pin);
  status_.offset_bytes = status_.total_bytes = size_bytes;
}

absl::Status ContentWriter::Unshare(int64_t keep_bytes) {
  GANTRY_ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(status_.expected));
  const std::string what = absl::StrCat("copy content ", digest.text(), " to ref ", status_.ref);
  absl::StatusOr<UniqueFd> blob = OpenFile(store_.BlobPath(digest), O_RDONLY | O_NOFOLLOW);
  if (!blob.ok()) return Annotate(blob.status(), what);
  std::optional<IngestStatus> found;
  GANTRY_RETURN_IF_ERROR(store_.store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, FindIngest(reader, scope_.ns, status_.ref));
    return absl::OkStatus();
  }));
  const IngestStatus before = status_;
  algorithm_ = std::string(digest.algorithm());
  // What it becomes is other content than the client named at first.
  status_.expected.clear();
  if (absl::Status begun = Begin(found, /*restart=*/true); !begun.ok()) {
    status_ = before;
    return begun;
  }
  shared_ = false;
  std::string buffer(keep_bytes > 0 ? kCopyBytes : 0, '\0');
  while (status_.offset_bytes < keep_bytes) {
    GANTRY_ASSIGN_OR_RETURN(const size_t got, ReadAt(blob->get(), buffer.data(), buffer.size(),
                                                     status_.offset_bytes, what));
    if (got == 0) return absl::DataLossError(absl::StrCat(what, ": the file is short"));
    GANTRY_RETURN_IF_ERROR(Write(absl::string_view(buffer.data(), got)));
  }
  pin_ = {};
  return absl::OkStatus();
}

absl::Status ContentWriter::Write(absl::string_view bytes) {
  if (shared_) GANTRY_RETURN_IF_ERROR(Unshare(status_.offset_bytes));
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
  return Touch();
}

Digest ContentWriter::CurrentDigest() const {
  if (!shared_) return digester_->Peek();
  const absl::StatusOr<Digest> whole = Digest::Parse(status_.expected);
  return whole.ok() ? *whole : Digest();
}

absl::Status ContentWriter::Reset() {
  if (shared_) return Unshare(0);
  if (::ftruncate(data_.get(), 0) != 0)
    return ErrnoError(errno, absl::StrCat("truncate ingest ", status_.ref));
  status_.offset_bytes = 0;
  status_.updated_at = absl::Now();
  GANTRY_RETURN_IF_ERROR(Touch());
  return Rehash(algorithm_);
}

absl::Status ContentWriter::DropIfKnown(const std::string& expected) {
  GANTRY_ASSIGN_OR_RETURN(const Digest digest, Digest::Parse(expected));
  std::optional<BlobInfo> found;
  GANTRY_RETURN_IF_ERROR(store_.store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, FindBlob(reader, scope_.ns, digest));
    return absl::OkStatus();
  }));
  return found.has_value() && store_.OpenWhole(*found).ok() ? DropAsKnown(digest)
                                                            : absl::OkStatus();
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
  if (!shared_ && !wanted.empty() && wanted.algorithm() != algorithm_) {
    GANTRY_RETURN_IF_ERROR(Rehash(wanted.algorithm()));
  }
  const Digest digest = CurrentDigest();
  if (!wanted.empty() && digest != wanted) {
    return absl::FailedPreconditionError(absl::StrCat("unexpected commit digest ", digest.text(),
                                                      ", expected ", wanted.text(),
                                                      ": failed precondition"));
  }
  if (!shared_) pin_ = store_.pins_.Take(digest);
  absl::Status status = shared_ ? absl::OkStatus() : MakeBlob(digest);
  const bool made = status.ok();
  if (made) status = Record(digest, labels);
  // Whatever came of it: the upload has no data any more.
  if (made) store_.DropUnrecorded(key_);
  if (status.ok() || absl::IsAlreadyExists(status)) {
    RemoveDirectory();
  } else {
    // The file may be there, and nobody else looks for it before the next start.
    store_.blobs_.NoteDeleted(digest);
  }
  Release();
  if (!status.ok()) return status;
  return digest;
}

absl::Status ContentWriter::MakeBlob(const Digest& digest) {
  const std::string data = store_.IngestPath(key_) + "/data";
  const std::string blob = store_.BlobPath(digest);
  if (::fchmod(data_.get(), 0444) != 0)
    return ErrnoError(errno, absl::StrCat("set the mode of ", data));
  if (store_.unsynced_->Takes(status_.offset_bytes)) {
    unsynced_.emplace(static_cast<size_t>(status_.offset_bytes), '\0');
    GANTRY_ASSIGN_OR_RETURN(const size_t got,
                            ReadAt(data_.get(), unsynced_->data(), unsynced_->size(), 0,
                                   absl::StrCat("read back ingest ", status_.ref)));
    if (got != unsynced_->size())
      return absl::DataLossError(absl::StrCat("ingest ", status_.ref, " has shrunk"));
  }
  // Where nothing is there yet the new name comes first, so that the two syncs find both in one
  // commit of the file system's journal; no record names the file before they are done.
  const bool named =
      ::renameat2(AT_FDCWD, data.c_str(), AT_FDCWD, blob.c_str(), RENAME_NOREPLACE) == 0;
  if (!named && errno == ENOENT) return IngestNotFound(status_.ref);
  // What is there may be damaged, and is not to be lost for one that is not on the disk.
  if (!named) unsynced_.reset();
  if (!unsynced_.has_value()) GANTRY_RETURN_IF_ERROR(SyncBlob(data, blob, named));
  struct stat st {};
  if (::fstat(data_.get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat ", blob));
  stamp_ = FileStamp::Of(st);
  return FaultPoint("content.commit.named");
}

absl::Status ContentWriter::SyncBlob(const std::string& data, const std::string& blob, bool named) {
  const auto sync = [&]() -> absl::Status {
    if (::fsync(data_.get()) != 0) return ErrnoError(errno, absl::StrCat("sync ", data));
    return FaultPoint("content.commit.synced");
  };
  if (const absl::Status synced = sync(); !synced.ok()) {
    if (named) ::rename(blob.c_str(), data.c_str());  // for the client's next try
    return synced;
  }
  // Over a file that is there already: the bytes are the same, or the old ones are damaged.
  if (!named && ::rename(data.c_str(), blob.c_str()) != 0) {
    if (errno == ENOENT) return IngestNotFound(status_.ref);
    return ErrnoError(errno, absl::StrCat("rename ", data, " to ", blob));
  }
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.commit.renamed"));
  GANTRY_RETURN_IF_ERROR(SyncDirectory(blob.substr(0, blob.rfind('/'))));
  return FaultPoint("content.commit.durable");
}

absl::Status ContentWriter::Record(const Digest& digest, const Labels& labels) {
  BlobInfo info;
  info.digest = digest;
  info.size_bytes = status_.offset_bytes;
  info.created_at = info.updated_at = absl::Now();
  info.labels = labels;
  info.stamp = stamp_;
  bool known = false;
  GANTRY_RETURN_IF_ERROR(store_.store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const bool uploaded, DropIngestRecord(writer, scope_.ns, status_.ref));
    if (!uploaded && !shared_ && !store_.IsUnrecorded(key_)) return IngestNotFound(status_.ref);
    GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, scope_.ns));
    GANTRY_RETURN_IF_ERROR(
        metadata::AttachToLease(writer, scope_.ns, scope_.lease, "content", digest.text()));
    if (unsynced_.has_value()) {
      GANTRY_RETURN_IF_ERROR(store_.unsynced_->Keep(writer, digest, *unsynced_));
    }
    GANTRY_ASSIGN_OR_RETURN(const std::optional<BlobInfo> own, FindBlob(writer, scope_.ns, digest));
    known = own.has_value();
    if (known) return absl::OkStatus();  // whose stamp is set when the new file is read
    return writer.Put(kBlobBucket, scope_.ns, digest.text(), Encode(info));
  }));
  if (unsynced_.has_value()) store_.unsynced_->Add(digest);
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.commit.recorded"));
  return known ? BlobExists(digest) : absl::OkStatus();
}

absl::Status ContentWriter::DropAsKnown(const Digest& digest) {
  bool known = false;
  GANTRY_RETURN_IF_ERROR(store_.store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<BlobInfo> own, FindBlob(writer, scope_.ns, digest));
    known = own.has_value();
    if (!known) return absl::OkStatus();
    GANTRY_RETURN_IF_ERROR(DropIngestRecord(writer, scope_.ns, status_.ref).status());
    return metadata::AttachToLease(writer, scope_.ns, scope_.lease, "content", digest.text());
  }));
  if (!known) return absl::OkStatus();
  store_.DropUnrecorded(key_);
  RemoveDirectory();
  Release();
  return BlobExists(digest);
}

void ContentWriter::RemoveDirectory() {
  if (absl::Status status = RemoveTree(store_.IngestPath(key_)); !status.ok())
    LogWarn(status.message());
}

}  // namespace gantry::content
