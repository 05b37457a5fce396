#include "services/content/content_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "services/content/blob_record.h"
#include "services/metadata/filter.h"
#include "services/metadata/label_mask.h"
#include "services/metadata/lease_resources.h"
#include "services/metadata/namespaces.h"

namespace gantry::content {
namespace {

constexpr char kShareableLabel[] = "containerd.io/namespace.shareable";

}  // namespace

absl::StatusOr<std::unique_ptr<ContentStore>> ContentStore::Open(const std::string& root,
                                                                 metadata::Store& store,
                                                                 const ContentOptions& options) {
  for (const char* directory : {"/blobs/sha256", "/blobs/sha512", "/ingest"}) {
    GANTRY_RETURN_IF_ERROR(MakeDirectories(root + directory, 0700));
  }
  // A commit syncs the directory that its blob is in; the ones above that are synced once, here.
  GANTRY_RETURN_IF_ERROR(SyncDirectory(root + "/blobs"));
  GANTRY_RETURN_IF_ERROR(SyncDirectory(root));
  GANTRY_RETURN_IF_ERROR(RestoreUnsyncedBlobs(root, store));
  std::unique_ptr<ContentStore> content(new ContentStore(root, store, options));
  GANTRY_ASSIGN_OR_RETURN(content->unsynced_, UnsyncedBlobs::Open(root, store));
  GANTRY_RETURN_IF_ERROR(content->AdoptIngests());
  return content;
}

std::string ContentStore::BlobPath(const Digest& digest) const {
  return absl::StrCat(root_, "/blobs/", digest.algorithm(), "/", digest.hex());
}

std::string ContentStore::IngestPath(const std::string& key) const {
  return absl::StrCat(root_, "/ingest/", key);
}

absl::StatusOr<std::unique_ptr<BlobReader>> ContentStore::Open(const std::string& ns,
                                                               const Digest& digest) {
  GANTRY_ASSIGN_OR_RETURN(const BlobInfo info, Info(ns, digest));
  absl::StatusOr<Whole> whole = OpenWhole(info);
  if (whole.ok()) {
    return std::make_unique<BlobReader>(std::move(whole->fd),
                                        static_cast<uint64_t>(info.size_bytes));
  }
  if (!absl::IsNotFound(whole.status())) return whole.status();
  // It may have been collected since the record was read.
  GANTRY_RETURN_IF_ERROR(Info(ns, digest).status());
  return absl::DataLossError(
      absl::StrCat("content ", digest.text(), " has a record, but its file is gone"));
}

absl::StatusOr<ContentStore::Whole> ContentStore::OpenWhole(const BlobInfo& info) {
  const std::string& digest = info.digest.text();
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, OpenFile(BlobPath(info.digest), O_RDONLY | O_NOFOLLOW));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return ErrnoError(errno, absl::StrCat("stat content ", digest));
  if (st.st_size != info.size_bytes) {
    return absl::DataLossError(absl::StrCat("content ", digest, " has ", st.st_size,
                                            " bytes on disk, ", info.size_bytes, " in its record"));
  }
  const FileStamp stamp = FileStamp::Of(st);
  if (stamp == info.stamp) return Whole{std::move(fd), stamp};
  GANTRY_ASSIGN_OR_RETURN(const Digest actual, DigestOfFile(fd.get(), info.digest));
  if (actual != info.digest) {
    return absl::DataLossError(absl::StrCat("content ", digest, " is damaged on disk: its bytes ",
                                            "have the digest ", actual.text()));
  }
  // If that fails, the next one who reads it has to find out again.
  if (absl::Status stamped = Stamp(info.digest, stamp); !stamped.ok()) {
    LogWarn(stamped.message(), {{"digest", digest}});
  }
  return Whole{std::move(fd), stamp};
}

absl::Status ContentStore::Stamp(const Digest& digest, const FileStamp& stamp) {
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    // All that have it share the file.
    const absl::StatusOr<std::vector<std::string>> holders = Holders(writer, "", digest);
    if (absl::IsNotFound(holders.status())) return absl::OkStatus();
    GANTRY_RETURN_IF_ERROR(holders.status());
    for (const std::string& holder : *holders) {
      GANTRY_ASSIGN_OR_RETURN(std::optional<BlobInfo> info, FindBlob(writer, holder, digest));
      if (!info.has_value() || info->stamp == stamp) continue;
      info->stamp = stamp;
      GANTRY_RETURN_IF_ERROR(writer.Put(kBlobBucket, holder, digest.text(), Encode(*info)));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<BlobInfo> ContentStore::Info(const std::string& ns, const Digest& digest) const {
  std::optional<BlobInfo> found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> holders, Holders(reader, ns, digest));
    GANTRY_ASSIGN_OR_RETURN(found, FindBlob(reader, holders.front(), digest));
    return found.has_value() ? absl::OkStatus() : BlobNotFound(digest);
  }));
  return *std::move(found);
}

absl::StatusOr<BlobInfo> ContentStore::Update(const std::string& ns, const BlobInfo& wanted,
                                              const std::vector<std::string>& paths) {
  BlobInfo updated;
  const auto update = [&](metadata::Writer& writer, const std::string& holder) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<BlobInfo> found,
                            FindBlob(writer, holder, wanted.digest));
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
    return writer.Put(kBlobBucket, holder, wanted.digest.text(), Encode(updated));
  };
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> holders,
                            Holders(writer, ns, wanted.digest));
    for (const std::string& holder : holders) GANTRY_RETURN_IF_ERROR(update(writer, holder));
    return absl::OkStatus();
  }));
  return updated;
}

absl::StatusOr<std::vector<BlobInfo>> ContentStore::List(
    const std::string& ns, const std::vector<std::string>& filters) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::vector<BlobInfo> list;
  std::set<std::string, std::less<>> listed;
  const auto add = [&](absl::string_view digest, absl::string_view bytes) -> absl::Status {
    if (!listed.emplace(digest).second) return absl::OkStatus();
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
  };
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    std::vector<std::string> namespaces = {ns, ""};
    if (ns.empty()) {
      GANTRY_ASSIGN_OR_RETURN(namespaces, reader.Namespaces(kBlobBucket));
    }
    for (const std::string& each : namespaces) {
      GANTRY_RETURN_IF_ERROR(reader.ForEach(kBlobBucket, each, add));
    }
    return absl::OkStatus();
  }));
  return list;
}

absl::Status ContentStore::Delete(const Scope& scope, const Digest& digest) {
  // Before the commit, after which a collection may begin at once.
  blobs_.NoteDeleted(digest);
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> holders,
                            Holders(writer, scope.ns, digest));
    for (const std::string& holder : holders) {
      GANTRY_ASSIGN_OR_RETURN(const bool existed,
                              writer.Delete(kBlobBucket, holder, digest.text()));
      if (!existed) return BlobNotFound(digest);
    }
    writer.NoteDeletion();
    if (scope.lease.empty()) return absl::OkStatus();
    return metadata::DetachFromLease(writer, scope.ns, scope.lease, {"content", digest.text()});
  });
}

absl::StatusOr<std::vector<std::string>> ContentStore::Holders(const metadata::Reader& reader,
                                                               const std::string& ns,
                                                               const Digest& digest) const {
  std::vector<std::string> namespaces = {ns, ""};
  if (ns.empty()) {
    GANTRY_ASSIGN_OR_RETURN(namespaces, reader.Namespaces(kBlobBucket));
  }
  std::vector<std::string> holders;
  for (std::string& each : namespaces) {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> found,
                            reader.Get(kBlobBucket, each, digest.text()));
    if (found.has_value()) holders.push_back(std::move(each));
  }
  if (holders.empty()) return BlobNotFound(digest);
  return holders;
}

absl::StatusOr<bool> ContentStore::IsRecorded(const metadata::Reader& reader,
                                              const Digest& digest) const {
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                          reader.Namespaces(kBlobBucket));
  for (const std::string& ns : namespaces) {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> found,
                            reader.Get(kBlobBucket, ns, digest.text()));
    if (found.has_value()) return true;
  }
  return false;
}

absl::StatusOr<std::optional<BlobInfo>> ContentStore::FindShared(const metadata::Reader& reader,
                                                                 const Digest& digest) const {
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                          reader.Namespaces(kBlobBucket));
  for (const std::string& ns : namespaces) {
    if (options_.isolated) {
      GANTRY_ASSIGN_OR_RETURN(const Labels labels, metadata::NamespaceLabels(reader, ns));
      const auto shareable = labels.find(kShareableLabel);
      if (shareable == labels.end() || shareable->second != "true") continue;
    }
    GANTRY_ASSIGN_OR_RETURN(std::optional<BlobInfo> found, FindBlob(reader, ns, digest));
    if (found.has_value()) return found;
  }
  return std::nullopt;
}

}  // namespace gantry::content
