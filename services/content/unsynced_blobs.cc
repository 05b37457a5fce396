#include "services/content/unsynced_blobs.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "services/content/blob_record.h"

namespace gantry::content {
namespace {

constexpr char kBucket[] = "unsynced_blobs";
constexpr size_t kMostWaiting = 16 * UnsyncedBlobs::kBatch;

struct Kept {
  Digest digest;
  std::string bytes;
  bool recorded = false;
};

absl::StatusOr<std::vector<Kept>> ReadKept(const metadata::Store& store) {
  std::vector<Kept> all;
  GANTRY_RETURN_IF_ERROR(store.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(reader.ForEach(
        kBucket, "", [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
          GANTRY_ASSIGN_OR_RETURN(Digest digest, Digest::Parse(name));
          all.push_back({std::move(digest), std::string(bytes)});
          return absl::OkStatus();
        }));
    if (all.empty()) return absl::OkStatus();
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                            reader.Namespaces(kBlobBucket));
    for (Kept& kept : all) {
      for (const std::string& ns : namespaces) {
        GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> record,
                                reader.Get(kBlobBucket, ns, kept.digest.text()));
        kept.recorded = kept.recorded || record.has_value();
      }
    }
    return absl::OkStatus();
  }));
  return all;
}

// Deletes the bytes of `digests`, but for those that `stays` says.
absl::Status DropBytes(metadata::Store& store, const std::vector<Digest>& digests,
                       const std::function<bool(const Digest&)>& stays) {
  return store.Update(
      [&](metadata::Writer& writer) -> absl::Status {
        writer.HideChanges();
        for (const Digest& digest : digests) {
          if (stays(digest)) continue;
          GANTRY_RETURN_IF_ERROR(writer.Delete(kBucket, "", digest.text()).status());
        }
        return absl::OkStatus();
      },
      // Kept for longer they do no harm.
      metadata::OnDisk::kWithNext);
}

absl::Status SyncFileSystem(int directory) {
  if (::syncfs(directory) == 0) return absl::OkStatus();
  return ErrnoError(errno, "sync the file system of the blobs");
}

}  // namespace

UnsyncedBlobs::UnsyncedBlobs(UniqueFd directory, metadata::Store& store)
    : directory_(std::move(directory)), store_(store), thread_([this] { Work(); }) {}

UnsyncedBlobs::~UnsyncedBlobs() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

absl::StatusOr<std::unique_ptr<UnsyncedBlobs>> UnsyncedBlobs::Open(const std::string& root,
                                                                   metadata::Store& store) {
  // Held from now on: an error of the disk is told to the descriptors that were open by then.
  GANTRY_ASSIGN_OR_RETURN(UniqueFd directory, OpenFile(root + "/blobs", O_RDONLY | O_DIRECTORY));
  return std::unique_ptr<UnsyncedBlobs>(new UnsyncedBlobs(std::move(directory), store));
}

bool UnsyncedBlobs::Takes(int64_t size_bytes) const {
  if (size_bytes > kMostBytes) return false;
  const std::lock_guard lock(mutex_);
  return !failed_ && waiting_.size() < kMostWaiting;
}

absl::Status UnsyncedBlobs::Keep(metadata::Writer& writer, const Digest& digest,
                                 absl::string_view bytes) {
  const std::lock_guard lock(mutex_);
  kept_meanwhile_.insert(digest);
  return writer.Put(kBucket, "", digest.text(), bytes);
}

void UnsyncedBlobs::Add(const Digest& digest) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(digest);
    if (waiting_.size() < kBatch) return;
  }
  changed_.notify_one();
}

void UnsyncedBlobs::Work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || (waiting_.size() >= kBatch && !failed_); });
    if (failed_ || waiting_.empty()) return;
    const std::vector<Digest> batch = std::exchange(waiting_, {});
    kept_meanwhile_.clear();
    lock.unlock();
    const absl::Status synced = Sync(batch);
    if (!synced.ok()) LogError(synced.message());
    lock.lock();
    // Their bytes stay where they are; from here on each blob is synced by itself.
    failed_ = !synced.ok();
  }
}

absl::Status UnsyncedBlobs::Sync(const std::vector<Digest>& batch) {
  GANTRY_RETURN_IF_ERROR(SyncFileSystem(directory_.get()));
  GANTRY_RETURN_IF_ERROR(FaultPoint("content.batch.synced"));
  return DropBytes(store_, batch, [this](const Digest& digest) {
    const std::lock_guard lock(mutex_);
    return kept_meanwhile_.count(digest) != 0;
  });
}

absl::Status RestoreUnsyncedBlobs(const std::string& root, metadata::Store& store) {
  GANTRY_ASSIGN_OR_RETURN(const std::vector<Kept> all, ReadKept(store));
  if (all.empty()) return absl::OkStatus();
  std::vector<Digest> done;
  for (const Kept& kept : all) {
    done.push_back(kept.digest);
    // Deleted since; the file goes with the first collection.
    if (!kept.recorded) continue;
    const std::string path =
        absl::StrCat(root, "/blobs/", kept.digest.algorithm(), "/", kept.digest.hex());
    const absl::StatusOr<std::string> there = ReadFile(path, UnsyncedBlobs::kMostBytes);
    if (there.ok() && *there == kept.bytes) continue;
    GANTRY_RETURN_IF_ERROR(WriteFileAtomic(path, kept.bytes, 0444, Durability::kDurable));
  }
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd directory,
                          OpenFile(root + "/blobs", O_RDONLY | O_DIRECTORY));
  GANTRY_RETURN_IF_ERROR(SyncFileSystem(directory.get()));
  return DropBytes(store, done, [](const Digest&) { return false; });
}

}  // namespace gantry::content
