#include <sys/stat.h>

#include <set>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/random.h"
#include "services/content/blob_record.h"
#include "services/content/content_store.h"
#include "services/content/ingest_record.h"
#include "services/content/upload_note.h"
#include "services/metadata/filter.h"
#include "services/metadata/lease_resources.h"
#include "services/metadata/namespaces.h"

// The half of ContentStore that is about uploads.

namespace gantry::content {
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

// Whether what was uploaded for `found` can be part of what the client sends now.
bool Continues(const IngestStatus& found, int64_t total_bytes) {
  return total_bytes == 0 || found.total_bytes == 0 || total_bytes == found.total_bytes;
}

}  // namespace

absl::Status ContentStore::AdoptIngests() {
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
  std::vector<UploadNote> adopted;
  for (const std::string& key : keys) {
    if (known.count(key) != 0) continue;
    std::optional<UploadNote> note = ReadUploadNote(IngestPath(key));
    // One whose directory was set aside, or whose data have become a blob, is none any more.
    if (note.has_value() && IngestKey(note->ns, note->status.ref) == key) {
      adopted.push_back(*std::move(note));
    } else {
      GANTRY_RETURN_IF_ERROR(RemoveTree(IngestPath(key)));
    }
  }
  if (adopted.empty()) return absl::OkStatus();
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    for (UploadNote& note : adopted) {
      std::erase_if(note.status.leases, [&](const std::string& lease) {
        return absl::IsNotFound(
            metadata::AttachToLease(writer, note.ns, lease, "ingests", note.status.ref));
      });
      GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, note.ns));
      GANTRY_RETURN_IF_ERROR(
          writer.Put(kIngestBucket, note.ns, note.status.ref, Encode(note.status)));
    }
    return absl::OkStatus();
  });
}

void ContentStore::SetUnrecorded(const std::string& key, const std::string& ns,
                                 const IngestStatus& status) {
  const std::lock_guard lock(mutex_);
  locked_[key].unrecorded = Unrecorded{ns, status};
}

bool ContentStore::IsUnrecorded(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = locked_.find(key);
  return found != locked_.end() && found->second.unrecorded.has_value();
}

bool ContentStore::DropUnrecorded(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = locked_.find(key);
  if (found == locked_.end()) return false;
  return std::exchange(found->second.unrecorded, std::nullopt).has_value();
}

absl::Status ContentStore::RemoveIngestFiles(const std::string& key) {
  const std::string aside = absl::StrCat(IngestPath(key), ".", RandomHex(8));
  if (::rename(IngestPath(key).c_str(), aside.c_str()) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoError(errno, absl::StrCat("set aside ", IngestPath(key)));
  }
  return RemoveTree(aside);
}

bool ContentStore::TryLock(const std::string& key) {
  const std::lock_guard lock(mutex_);
  return locked_.try_emplace(key).second;
}

void ContentStore::Unlock(const std::string& key) {
  std::vector<std::weak_ptr<const std::function<void()>>> waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto found = locked_.find(key);
    waiting = std::move(found->second.waiting);
    locked_.erase(found);
  }
  for (const auto& waiter : waiting) {
    if (const auto ready = waiter.lock()) (*ready)();
  }
}

void ContentStore::WhenFree(const std::string& ns, const std::string& ref,
                            const std::shared_ptr<const std::function<void()>>& ready) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = locked_.find(IngestKey(ns, ref));
    if (found != locked_.end()) {
      std::erase_if(found->second.waiting, [](const auto& waiter) { return waiter.expired(); });
      found->second.waiting.push_back(ready);
      return;
    }
  }
  (*ready)();
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
  if (!TryLock(key)) {
    return absl::UnavailableError(absl::StrCat("ref ", ref, " locked: unavailable"));
  }
  IngestStatus status;
  status.ref = ref;
  status.total_bytes = total_bytes;
  status.expected = expected;
  status.started_at = status.updated_at = absl::Now();
  // From here on the writer owns the lock.
  std::unique_ptr<ContentWriter> writer(new ContentWriter(*this, scope, key, std::move(status)));

  std::optional<BlobInfo> own;
  std::optional<BlobInfo> others;
  std::optional<IngestStatus> found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    if (!digest.empty()) {
      GANTRY_ASSIGN_OR_RETURN(own, FindBlob(reader, scope.ns, digest));
      if (!own.has_value()) {
        GANTRY_ASSIGN_OR_RETURN(others, FindShared(reader, digest));
      }
    }
    GANTRY_ASSIGN_OR_RETURN(found, FindIngest(reader, scope.ns, ref));
    return absl::OkStatus();
  }));
  // A blob whose file is damaged counts as missing here: sending it again is what repairs it. So
  // does one that a collection has removed since.
  if (own.has_value() && OpenWhole(*own).ok()) {
    GANTRY_RETURN_IF_ERROR(writer->DropAsKnown(digest));
  }
  if (others.has_value() && (total_bytes == 0 || total_bytes == others->size_bytes)) {
    BlobPins::Pin pin = pins_.Take(digest);
    if (const absl::StatusOr<Whole> whole = OpenWhole(*others); whole.ok()) {
      writer->Share(others->size_bytes, whole->stamp, std::move(pin));
      return writer;
    }
  }
  const bool restart = found.has_value() && !Continues(*found, total_bytes);
  GANTRY_RETURN_IF_ERROR(writer->Begin(found, restart));
  return writer;
}

absl::StatusOr<std::string> ContentStore::NamespaceOfIngest(const std::string& ns,
                                                            const std::string& ref) const {
  if (ref.empty()) return IngestNotFound(ref);
  if (!ns.empty()) return ns;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, open] : locked_) {
      if (open.unrecorded.has_value() && open.unrecorded->status.ref == ref) {
        return open.unrecorded->ns;
      }
    }
  }
  std::string holder;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                            reader.Namespaces(kIngestBucket));
    for (const std::string& each : namespaces) {
      GANTRY_ASSIGN_OR_RETURN(const std::optional<IngestStatus> found,
                              FindIngest(reader, each, ref));
      if (!found.has_value()) continue;
      holder = each;
      return absl::OkStatus();
    }
    return IngestNotFound(ref);
  }));
  return holder;
}

absl::StatusOr<IngestStatus> ContentStore::Status(const std::string& wanted,
                                                  const std::string& ref) const {
  GANTRY_ASSIGN_OR_RETURN(const std::string ns, NamespaceOfIngest(wanted, ref));
  std::optional<IngestStatus> found;
  {
    const std::lock_guard lock(mutex_);
    const auto open = locked_.find(IngestKey(ns, ref));
    if (open != locked_.end() && open->second.unrecorded.has_value()) {
      found = open->second.unrecorded->status;
    }
  }
  if (!found.has_value()) {
    GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(found, FindIngest(reader, ns, ref));
      return absl::OkStatus();
    }));
  }
  if (!found.has_value()) return IngestNotFound(ref);
  FillFromFile(IngestPath(IngestKey(ns, ref)) + "/data", &*found);
  return *std::move(found);
}

absl::StatusOr<std::vector<IngestStatus>> ContentStore::ListStatuses(
    const std::string& ns, const std::vector<std::string>& filters) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::map<std::pair<std::string, std::string>, IngestStatus> all;  // by namespace and ref
  // Before the records: one whose writer closes meanwhile is met twice, and not missed.
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, open] : locked_) {
      if (!open.unrecorded.has_value()) continue;
      const Unrecorded& upload = *open.unrecorded;
      if (ns.empty() || upload.ns == ns) all[{upload.ns, upload.status.ref}] = upload.status;
    }
  }
  const auto add_those_of = [&](const metadata::Reader& reader, const std::string& holder) {
    return reader.ForEach(kIngestBucket, holder,
                          [&](absl::string_view ref, absl::string_view bytes) -> absl::Status {
                            GANTRY_ASSIGN_OR_RETURN(IngestStatus status, DecodeIngest(ref, bytes));
                            all[{holder, status.ref}] = std::move(status);
                            return absl::OkStatus();
                          });
  };
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    if (!ns.empty()) return add_those_of(reader, ns);
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                            reader.Namespaces(kIngestBucket));
    for (const std::string& each : namespaces) {
      GANTRY_RETURN_IF_ERROR(add_those_of(reader, each));
    }
    return absl::OkStatus();
  }));
  std::vector<IngestStatus> list;
  for (auto& entry : all) {
    const auto& [holder, ref] = entry.first;
    IngestStatus& status = entry.second;
    const bool matches =
        set.Match([&status](std::span<const std::string> path) -> std::optional<std::string> {
          if (path[0] == "ref") return status.ref;
          return std::nullopt;
        });
    if (!matches) continue;
    FillFromFile(IngestPath(IngestKey(holder, ref)) + "/data", &status);
    list.push_back(std::move(status));
  }
  return list;
}

absl::Status ContentStore::Abort(const std::string& wanted, const std::string& ref) {
  GANTRY_ASSIGN_OR_RETURN(const std::string ns, NamespaceOfIngest(wanted, ref));
  // With the lock nobody can begin the same upload between the steps. Without it a writer has the
  // upload: taking its directory away is what makes its commit fail.
  const std::string key = IngestKey(ns, ref);
  const bool locked = TryLock(key);
  const absl::Cleanup unlock = [&] {
    if (locked) Unlock(key);
  };
  const std::string aborted = absl::StrCat(IngestPath(key), ".", RandomHex(8));
  if (::rename(IngestPath(key).c_str(), aborted.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, absl::StrCat("set aside the data of ref ", ref));
  }
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.abort.set_aside"));
  const bool unrecorded = DropUnrecorded(key);
  const absl::Status status = store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const bool existed, DropIngestRecord(writer, ns, ref));
    return existed || unrecorded ? absl::OkStatus() : IngestNotFound(ref);
  });
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.abort.recorded"));
  const absl::Status removed = RemoveTree(aborted);
  return status.ok() ? removed : status;
}

}  // namespace gantry::content
