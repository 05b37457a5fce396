#include "services/content/content_collectibles.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "services/content/blob_record.h"
#include "services/content/content_store.h"
#include "services/content/ingest_record.h"

namespace gantry::content {

void BlobCollectible::NoteDeleted(const Digest& digest) {
  const std::lock_guard lock(mutex_);
  deleted_.insert(digest);
}

absl::StatusOr<gc::Links> BlobCollectible::LinksOf(const metadata::Reader&, const gc::Node& node,
                                                   absl::string_view bytes, absl::Time now) const {
  gc::Links links;
  // A reference may name what is no digest; there is no record of it.
  GANTRY_ASSIGN_OR_RETURN(const BlobInfo info, DecodeBlob(node.name, bytes));
  gc::AddLabelLinks(node.ns, info.labels, now, &links);
  return links;
}

absl::StatusOr<bool> BlobCollectible::Remove(metadata::Writer& writer, const gc::Node& node) {
  GANTRY_ASSIGN_OR_RETURN(Digest digest, Digest::Parse(node.name));
  GANTRY_ASSIGN_OR_RETURN(const bool existed, writer.Delete(kBlobBucket, node.ns, node.name));
  if (existed) removed_.push_back(std::move(digest));
  return existed;
}

void BlobCollectible::Settle(bool committed) {
  if (committed) {
    for (const Digest& digest : removed_) RemoveFile(digest);
  }
  removed_.clear();
}

absl::Status BlobCollectible::Finish() {
  std::set<Digest> deleted;
  {
    const std::lock_guard lock(mutex_);
    deleted.swap(deleted_);
  }
  for (const Digest& digest : deleted) RemoveFile(digest);
  if (all_seen_) return absl::OkStatus();
  GANTRY_RETURN_IF_ERROR(RemoveFilesWithoutRecord());
  all_seen_ = true;
  return absl::OkStatus();
}

absl::Status BlobCollectible::RemoveFilesWithoutRecord() {
  for (const char* algorithm : {"sha256", "sha512"}) {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                            ListDirectory(absl::StrCat(content_.root_, "/blobs/", algorithm)));
    for (const std::string& name : names) {
      const absl::StatusOr<Digest> digest = Digest::Parse(absl::StrCat(algorithm, ":", name));
      if (digest.ok()) RemoveFile(*digest);
    }
  }
  return absl::OkStatus();
}

void BlobCollectible::RemoveFile(const Digest& digest) {
  absl::Status status;
  const bool tried = content_.pins_.TryRemove(digest, [&] {
    bool recorded = false;
    status = content_.store_.View([&](const metadata::Reader& reader) -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(recorded, content_.IsRecorded(reader, digest));
      return absl::OkStatus();
    });
    if (!status.ok() || recorded) return;
    status = FaultPoint("content.collect.unlink");
    if (!status.ok()) return;
    const std::string path = content_.BlobPath(digest);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      status = ErrnoError(errno, absl::StrCat("remove ", path));
    }
  });
  if (!status.ok()) LogWarn(status.message());
  // Whoever has it pinned may yet fail to record it.
  if (!tried || !status.ok()) NoteDeleted(digest);
}

absl::StatusOr<gc::Links> IngestCollectible::LinksOf(const metadata::Reader&, const gc::Node& node,
                                                     absl::string_view bytes,
                                                     absl::Time now) const {
  GANTRY_ASSIGN_OR_RETURN(const IngestStatus status, DecodeIngest(node.name, bytes));
  gc::Links links;
  links.root = ExpiryOf(status) > now;
  if (!status.expected.empty()) {
    links.held.push_back({.bucket = gc::kContentBucket, .ns = node.ns, .name = status.expected});
  }
  return links;
}

absl::StatusOr<bool> IngestCollectible::Remove(metadata::Writer& writer, const gc::Node& node) {
  const std::string key = IngestKey(node.ns, node.name);
  if (!content_.TryLock(key)) return false;
  locked_.push_back(key);
  return DropIngestRecord(writer, node.ns, node.name);
}

void IngestCollectible::Settle(bool committed) {
  for (const std::string& key : locked_) {
    if (committed) {
      if (absl::Status status = content_.RemoveIngestFiles(key); !status.ok()) {
        LogWarn(status.message());
      }
    }
    content_.Unlock(key);
  }
  locked_.clear();
}

}  // namespace gantry::content
