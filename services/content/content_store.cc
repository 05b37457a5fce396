#include "services/content/content_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "services/content/blob_record.h"
#include "services/content/ingest_record.h"
#include "services/metadata/filter.h"
#include "services/metadata/label_mask.h"
#include "services/metadata/lease_resources.h"
#include "services/metadata/namespaces.h"

namespace gantry::content {
namespace {

constexpr std::chrono::milliseconds kWriterHandover(300);

}  // namespace

absl::StatusOr<std::unique_ptr<ContentStore>> ContentStore::Open(const std::string& root,
                                                                 metadata::Store& store) {
  for (const char* directory : {"/blobs/sha256", "/blobs/sha512", "/ingest"}) {
    GANTRY_RETURN_IF_ERROR(MakeDirectories(root + directory, 0700));
  }
  std::unique_ptr<ContentStore> content(new ContentStore(root, store));
  GANTRY_RETURN_IF_ERROR(content->RemoveOrphanedIngests());
  return content;
}

absl::Status ContentStore::RemoveOrphanedIngests() {
  std::set<std::string> known;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                            reader.Namespaces(kIngestBucket));
    for (const std::string& ns : namespaces) {
      GANTRY_RETURN_IF_ERROR(
          reader.ForEach(kIngestBucket, ns, [&](absl::string_view ref, absl::string_view) {
            known.insert(IngestKey(ns, ref));
            return absl::OkStatus();
          }));
    }
    return absl::OkStatus();
  }));
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> keys, ListDirectory(root_ + "/ingest"));
  for (const std::string& key : keys) {
    if (known.count(key) == 0) GANTRY_RETURN_IF_ERROR(RemoveTree(IngestPath(key)));
  }
  return absl::OkStatus();
}

std::string ContentStore::BlobPath(const Digest& digest) const {
  return absl::StrCat(root_, "/blobs/", digest.algorithm(), "/", digest.hex());
}

std::string ContentStore::IngestPath(const std::string& key) const {
  return absl::StrCat(root_, "/ingest/", key);
}

void ContentStore::Unlock(const std::string& key) {
  {
    const std::lock_guard lock(mutex_);
    locked_.erase(key);
  }
  unlocked_.notify_all();
}

absl::StatusOr<std::unique_ptr<BlobReader>> ContentStore::Open(const std::string& ns,
                                                               const Digest& digest) {
  GANTRY_ASSIGN_OR_RETURN(const BlobInfo info, Info(ns, digest));
  absl::StatusOr<UniqueFd> fd = OpenFile(BlobPath(digest), O_RDONLY | O_NOFOLLOW);
  if (!fd.ok()) {
    if (absl::IsNotFound(fd.status())) {
      return absl::DataLossError(
          absl::StrCat("content ", digest.text(), " has a record, but its file is gone"));
    }
    return fd.status();
  }
  struct stat st {};
  if (::fstat(fd->get(), &st) != 0)
    return ErrnoError(errno, absl::StrCat("stat content ", digest.text()));
  if (st.st_size != info.size_bytes) {
    return absl::DataLossError(absl::StrCat("content ", digest.text(), " has ", st.st_size,
                                            " bytes on disk, ", info.size_bytes, " in its record"));
  }
  return std::make_unique<BlobReader>(*std::move(fd), static_cast<uint64_t>(st.st_size));
}

absl::StatusOr<BlobInfo> ContentStore::Info(const std::string& ns, const Digest& digest) const {
  std::optional<BlobInfo> found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, FindBlob(reader, ns, digest));
    return found.has_value() ? absl::OkStatus() : BlobNotFound(digest);
  }));
  return *std::move(found);
}

absl::StatusOr<BlobInfo> ContentStore::Update(const std::string& ns, const BlobInfo& wanted,
                                              const std::vector<std::string>& paths) {
  BlobInfo updated;
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<BlobInfo> found,
                            FindBlob(writer, ns, wanted.digest));
    if (!found.has_value()) return BlobNotFound(wanted.digest);
    updated = *found;
    if (paths.empty()) updated.labels = wanted.labels;
    for (const std::string& path : paths) {
      if (!metadata::ApplyLabelPath(path, wanted.labels, &updated.labels)) {
        return absl::InvalidArgumentError(
            absl::StrCat("cannot update \"", path, "\" field on content info \"",
                         wanted.digest.text(), "\": invalid argument"));
      }
    }
    GANTRY_RETURN_IF_ERROR(ValidateLabels(updated.labels));
    updated.updated_at = absl::Now();
    return writer.Put(kBlobBucket, ns, wanted.digest.text(), Encode(updated));
  }));
  return updated;
}

absl::StatusOr<std::vector<BlobInfo>> ContentStore::List(
    const std::string& ns, const std::vector<std::string>& filters) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::vector<BlobInfo> list;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) {
    return reader.ForEach(
        kBlobBucket, ns, [&](absl::string_view digest, absl::string_view bytes) -> absl::Status {
          GANTRY_ASSIGN_OR_RETURN(BlobInfo info, DecodeBlob(digest, bytes));
          const bool matches =
              set.Match([&info](std::span<const std::string> path) -> std::optional<std::string> {
                if (path[0] == "digest") return info.digest.text();
                if (path[0] == "size") return absl::StrCat(info.size_bytes);
                if (path[0] == "labels") return metadata::LabelField(info.labels, path.subspan(1));
                return std::nullopt;
              });
          if (matches) list.push_back(std::move(info));
          return absl::OkStatus();
        });
  }));
  return list;
}

absl::Status ContentStore::Delete(const std::string& ns, const Digest& digest) {
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const bool existed, writer.Delete(kBlobBucket, ns, digest.text()));
    return existed ? absl::OkStatus() : BlobNotFound(digest);
  });
}

absl::StatusOr<int64_t> ContentStore::SharedSize(const metadata::Reader& reader,
                                                 const Digest& digest) const {
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                          reader.Namespaces(kBlobBucket));
  for (const std::string& ns : namespaces) {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<BlobInfo> found, FindBlob(reader, ns, digest));
    if (found.has_value()) return found->size_bytes;
  }
  return -1;
}

absl::StatusOr<std::unique_ptr<ContentWriter>> ContentStore::OpenWriter(
    const Scope& scope, const std::string& ref, int64_t total_bytes, const std::string& expected) {
  if (ref.empty()) return absl::InvalidArgumentError("ref must not be empty: invalid argument");
  if (total_bytes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("total ", total_bytes, " is negative: invalid argument"));
  }
  Digest digest;
  if (!expected.empty()) {
    GANTRY_ASSIGN_OR_RETURN(digest, Digest::Parse(expected));
  }
  const std::string key = IngestKey(scope.ns, ref);
  {
    // A client that has just closed a writer may open the next before the end of its stream has got
    // here.
    std::unique_lock lock(mutex_);
    const bool free =
        unlocked_.wait_for(lock, kWriterHandover, [&] { return locked_.count(key) == 0; });
    if (!free) return absl::UnavailableError(absl::StrCat("ref ", ref, " locked: unavailable"));
    locked_.insert(key);
  }
  IngestStatus status;
  status.ref = ref;
  status.total_bytes = total_bytes;
  status.expected = expected;
  status.started_at = status.updated_at = absl::Now();
  std::unique_ptr<ContentWriter> writer(new ContentWriter(*this, scope, key, status));

  bool exists = false;
  std::optional<IngestStatus> found;
  int64_t shared = -1;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    if (!digest.empty()) {
      GANTRY_ASSIGN_OR_RETURN(const std::optional<BlobInfo> blob,
                              FindBlob(reader, scope.ns, digest));
      exists = blob.has_value();
    }
    GANTRY_ASSIGN_OR_RETURN(found, FindIngest(reader, scope.ns, ref));
    if (!digest.empty() && !found.has_value() && !exists) {
      GANTRY_ASSIGN_OR_RETURN(shared, SharedSize(reader, digest));
    }
    return absl::OkStatus();
  }));
  if (exists) {
    if (found.has_value()) writer->DropIngest();
    return BlobExists(digest);
  }
  if (shared >= 0 && (total_bytes == 0 || total_bytes == shared) &&
      ::access(BlobPath(digest).c_str(), F_OK) == 0) {
    writer->shared_ = true;
    writer->status_.offset_bytes = shared;
    writer->status_.total_bytes = shared;
    return writer;
  }
  if (found.has_value()) {
    if (total_bytes > 0 && found->total_bytes > 0 && total_bytes != found->total_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("provided total differs from status: ", total_bytes,
                       " != ", found->total_bytes, ": invalid argument"));
    }
    if (!expected.empty() && !found->expected.empty() && expected != found->expected) {
      return absl::InvalidArgumentError(
          absl::StrCat("provided digest differs from status: ", expected, " != ", found->expected,
                       ": invalid argument"));
    }
    writer->status_.started_at = found->started_at;
    if (total_bytes == 0) writer->status_.total_bytes = found->total_bytes;
    if (expected.empty()) writer->status_.expected = found->expected;
  }
  GANTRY_RETURN_IF_ERROR(MakeDirectories(IngestPath(key), 0700));
  GANTRY_RETURN_IF_ERROR(writer->Open());
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.ingest.directory"));
  if (!found.has_value()) {
    GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& transaction) -> absl::Status {
      GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(transaction, scope.ns));
      GANTRY_RETURN_IF_ERROR(
          metadata::AttachToLease(transaction, scope.ns, scope.lease, "ingests", ref));
      return transaction.Put(kIngestBucket, scope.ns, ref, Encode(writer->status_));
    }));
  }
  return writer;
}

namespace {

// How far an ingest is and when it was last written to, from its file.
void FillFromFile(const std::string& path, IngestStatus* status) {
  struct stat st {};
  if (::stat(path.c_str(), &st) == 0) {
    status->offset_bytes = st.st_size;
    status->updated_at = absl::TimeFromTimespec(st.st_mtim);
  } else {
    status->updated_at = status->started_at;
  }
}

}  // namespace

absl::StatusOr<IngestStatus> ContentStore::Status(const std::string& ns,
                                                  const std::string& ref) const {
  std::optional<IngestStatus> found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, FindIngest(reader, ns, ref));
    return found.has_value() ? absl::OkStatus() : IngestNotFound(ref);
  }));
  FillFromFile(IngestPath(IngestKey(ns, ref)) + "/data", &*found);
  return *std::move(found);
}

absl::StatusOr<std::vector<IngestStatus>> ContentStore::ListStatuses(
    const std::string& ns, const std::vector<std::string>& filters) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::vector<IngestStatus> list;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) {
    return reader.ForEach(
        kIngestBucket, ns, [&](absl::string_view ref, absl::string_view bytes) -> absl::Status {
          GANTRY_ASSIGN_OR_RETURN(IngestStatus status, DecodeIngest(ref, bytes));
          const bool matches =
              set.Match([&status](std::span<const std::string> path) -> std::optional<std::string> {
                if (path[0] == "ref") return status.ref;
                return std::nullopt;
              });
          if (matches) list.push_back(std::move(status));
          return absl::OkStatus();
        });
  }));
  for (IngestStatus& status : list)
    FillFromFile(IngestPath(IngestKey(ns, status.ref)) + "/data", &status);
  return list;
}

absl::Status ContentStore::Abort(const std::string& ns, const std::string& ref) {
  if (ref.empty()) return absl::InvalidArgumentError("ref must not be empty: invalid argument");
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const bool existed, writer.Delete(kIngestBucket, ns, ref));
    return existed ? absl::OkStatus() : IngestNotFound(ref);
  }));
  return RemoveTree(IngestPath(IngestKey(ns, ref)));
}

}  // namespace gantry::content
