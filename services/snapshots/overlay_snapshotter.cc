#include "services/snapshots/overlay_snapshotter.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <condition_variable>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "base/random.h"
#include "services/metadata/label_mask.h"
#include "services/metadata/lease_resources.h"
#include "services/metadata/namespaces.h"
#include "services/snapshots/disk_usage.h"
#include "services/snapshots/info_filter.h"

namespace gantry::snapshots {
namespace {

constexpr char kBucket[] = "snapshots/overlayfs";
constexpr char kReferenceLabel[] = "containerd.io/snapshot.ref";
constexpr char kDiscardPrefix[] = "removing-";

absl::StatusOr<std::optional<Record>> Find(const metadata::Reader& reader, const Scope& scope,
                                           const std::string& name) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes,
                          reader.Get(kBucket, scope.ns, name));
  if (!bytes.has_value()) return std::optional<Record>();
  GANTRY_ASSIGN_OR_RETURN(Record record, Decode(name, *bytes));
  return std::optional<Record>(std::move(record));
}

absl::StatusOr<Record> Get(const metadata::Reader& reader, const Scope& scope,
                           const std::string& name) {
  GANTRY_ASSIGN_OR_RETURN(std::optional<Record> record, Find(reader, scope, name));
  if (!record.has_value()) {
    return absl::NotFoundError(absl::StrCat("snapshot ", name, " does not exist: not found"));
  }
  return *std::move(record);
}

absl::Status Put(metadata::Writer& writer, const Scope& scope, const Record& record) {
  return writer.Put(kBucket, scope.ns, record.info.name, Encode(record));
}

absl::StatusOr<Record> GetCommittedParent(const metadata::Reader& reader, const Scope& scope,
                                          const std::string& parent) {
  GANTRY_ASSIGN_OR_RETURN(std::optional<Record> record, Find(reader, scope, parent));
  if (!record.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("parent snapshot ", parent, " does not exist: not found"));
  }
  if (record->info.kind != Kind::kCommitted) {
    return absl::InvalidArgumentError(
        absl::StrCat("parent \"", parent, "\" is not a committed snapshot: invalid argument"));
  }
  return *std::move(record);
}

// What the request's lease held of a snapshot whose key is no more.
absl::Status Release(metadata::Writer& writer, const Scope& scope, const std::string& key) {
  if (scope.lease.empty()) return absl::OkStatus();
  return metadata::DetachFromLease(writer, scope.ns, scope.lease, {kBucket, key});
}

absl::Status AlreadyExists(absl::string_view name) {
  return absl::AlreadyExistsError(absl::StrCat("snapshot \"", name, "\": already exists"));
}

absl::Status ValidateKey(absl::string_view field, absl::string_view key) {
  constexpr size_t kMaxKey = 4096;
  if (key.empty()) return absl::InvalidArgumentError(absl::StrCat(field, " must not be empty"));
  if (key.size() > kMaxKey || key.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat(
        field, " \"", key.substr(0, 64), "\" holds a NUL byte or is longer than ", kMaxKey));
  }
  return absl::OkStatus();
}

bool KernelHasOverlay() {
  const absl::StatusOr<std::string> known = ReadFile("/proc/filesystems");
  return known.ok() && absl::StrContains(*known, "\toverlay\n");
}

// The files of a layer reach the disk before the record that calls it committed.
absl::Status SyncFileSystem(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (::syncfs(fd.get()) != 0)
    return ErrnoError(errno, absl::StrCat("sync the file system of ", path));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<OverlaySnapshotter>> OverlaySnapshotter::Open(
    const std::string& root, metadata::Store& store) {
  if (!KernelHasOverlay()) {
    return absl::FailedPreconditionError(
        "overlayfs is not in /proc/filesystems: load the kernel's overlay module");
  }
  GANTRY_RETURN_IF_ERROR(MakeDirectories(root, 0700));
  // 4.13: first with index; where it is on by default, layers shared by two mounts would be
  // refused.
  const bool index_off = ::access("/sys/module/overlay/parameters/index", F_OK) == 0;
  std::unique_ptr<OverlaySnapshotter> snapshotter(new OverlaySnapshotter(root, store, index_off));
  GANTRY_RETURN_IF_ERROR(snapshotter->RemoveOrphans());
  return snapshotter;
}

std::string OverlaySnapshotter::Directory(uint64_t id, absl::string_view part) const {
  return part.empty() ? absl::StrCat(root_, "/", id) : absl::StrCat(root_, "/", id, "/", part);
}

absl::Status OverlaySnapshotter::RemoveOrphans() {
  std::set<uint64_t> known;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces, reader.Namespaces(kBucket));
    for (const std::string& ns : namespaces) {
      GANTRY_RETURN_IF_ERROR(reader.ForEach(
          kBucket, ns, [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
            GANTRY_ASSIGN_OR_RETURN(const Record record, Decode(name, bytes));
            known.insert(record.id);
            return absl::OkStatus();
          }));
    }
    return absl::OkStatus();
  }));
  if (!known.empty()) next_id_ = std::max<uint64_t>(next_id_, *known.rbegin() + 1);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(root_));
  for (const std::string& name : names) {
    uint64_t id = 0;
    if (absl::SimpleAtoi(name, &id)) {
      next_id_ = std::max<uint64_t>(next_id_, id + 1);
      if (known.count(id) != 0) continue;
    } else if (!absl::StartsWith(name, kDiscardPrefix)) {
      LogWarn("the snapshotter's directory holds something that is not a snapshot",
              {{"name", name}});
      continue;
    }
    cleaner_.Run([path = absl::StrCat(root_, "/", name)] {
      if (absl::Status status = RemoveTree(path); !status.ok()) LogWarn(status.message());
    });
  }
  return absl::OkStatus();
}

void OverlaySnapshotter::Discard(uint64_t id) {
  std::string away = absl::StrCat(root_, "/", kDiscardPrefix, id, "-", RandomHex(4));
  if (::rename(Directory(id).c_str(), away.c_str()) != 0) {
    if (errno == ENOENT) return;
    LogWarn(ErrnoError(errno, absl::StrCat("rename ", Directory(id), " away")).message());
    away = Directory(id);
  }
  cleaner_.Run([away] {
    if (absl::Status status = RemoveTree(away); !status.ok()) LogWarn(status.message());
  });
}

absl::Status OverlaySnapshotter::MakeDirectory(uint64_t id, Kind kind, uint64_t parent_id) {
  const std::string directory = Directory(id);
  if (::mkdir(directory.c_str(), 0700) != 0) {
    return ErrnoError(errno, absl::StrCat("create directory ", directory));
  }
  const std::string fs = Directory(id, "fs");
  if (::mkdir(fs.c_str(), 0755) != 0)
    return ErrnoError(errno, absl::StrCat("create directory ", fs));
  // umask(2) must not narrow what the container sees as its "/".
  if (::chmod(fs.c_str(), 0755) != 0)
    return ErrnoError(errno, absl::StrCat("set the mode of ", fs));
  if (kind == Kind::kActive && ::mkdir(Directory(id, "work").c_str(), 0711) != 0) {
    return ErrnoError(errno, absl::StrCat("create directory ", Directory(id, "work")));
  }
  if (parent_id == 0) return absl::OkStatus();
  // The upper directory is the merged root's inode, so it takes the owner that the parent's has.
  struct stat st {};
  if (::stat(Directory(parent_id, "fs").c_str(), &st) != 0) {
    return WithCode(ErrnoError(errno, absl::StrCat("stat ", Directory(parent_id, "fs"))),
                    absl::StatusCode::kDataLoss);
  }
  if (::lchown(fs.c_str(), st.st_uid, st.st_gid) != 0) {
    return ErrnoError(errno, absl::StrCat("change the owner of ", fs));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint64_t>> OverlaySnapshotter::ParentIds(const metadata::Reader& reader,
                                                                    const Scope& scope,
                                                                    std::string parent) const {
  std::vector<uint64_t> ids;
  while (!parent.empty()) {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> record, Find(reader, scope, parent));
    if (!record.has_value()) {
      return absl::DataLossError(
          absl::StrCat("snapshot ", parent, " is a parent and has no record"));
    }
    ids.push_back(record->id);
    parent = record->info.parent;
  }
  return ids;
}

std::vector<Mount> OverlaySnapshotter::MountsOf(Kind kind, uint64_t id,
                                                const std::vector<uint64_t>& parents) const {
  const bool writable = kind == Kind::kActive;
  if (parents.empty() || (parents.size() == 1 && !writable)) {
    const std::string source = Directory(parents.empty() ? id : parents[0], "fs");
    return {Mount{"bind", source, "", {writable ? "rw" : "ro", "rbind"}}};
  }
  std::vector<std::string> options;
  if (index_off_) options.emplace_back("index=off");
  if (writable) {
    options.push_back(absl::StrCat("workdir=", Directory(id, "work")));
    options.push_back(absl::StrCat("upperdir=", Directory(id, "fs")));
  }
  std::vector<std::string> lower;
  lower.reserve(parents.size());
  for (const uint64_t parent : parents) lower.push_back(Directory(parent, "fs"));
  options.push_back(absl::StrCat("lowerdir=", absl::StrJoin(lower, ":")));
  return {Mount{"overlay", "overlay", "", std::move(options)}};
}

absl::StatusOr<std::vector<Mount>> OverlaySnapshotter::Prepare(const Scope& scope,
                                                               const std::string& key,
                                                               const std::string& parent,
                                                               const Labels& labels) {
  return Create(Kind::kActive, scope, key, parent, labels);
}

absl::StatusOr<std::vector<Mount>> OverlaySnapshotter::View(const Scope& scope,
                                                            const std::string& key,
                                                            const std::string& parent,
                                                            const Labels& labels) {
  return Create(Kind::kView, scope, key, parent, labels);
}

absl::StatusOr<std::vector<Mount>> OverlaySnapshotter::Create(Kind kind, const Scope& scope,
                                                              const std::string& key,
                                                              const std::string& parent,
                                                              const Labels& labels) {
  GANTRY_RETURN_IF_ERROR(ValidateKey("snapshot key", key));
  GANTRY_RETURN_IF_ERROR(ValidateLabels(labels));

  // A first look without a write, so that the common refusals touch no disk.
  uint64_t parent_id = 0;
  std::string target;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> taken, Find(reader, scope, key));
    if (taken.has_value()) return AlreadyExists(key);
    if (const auto ref = labels.find(kReferenceLabel);
        kind == Kind::kActive && ref != labels.end()) {
      GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> found, Find(reader, scope, ref->second));
      if (found.has_value() && found->info.kind == Kind::kCommitted) {
        target = ref->second;
        return absl::OkStatus();
      }
    }
    if (parent.empty()) return absl::OkStatus();
    GANTRY_ASSIGN_OR_RETURN(const Record record, GetCommittedParent(reader, scope, parent));
    parent_id = record.id;
    return absl::OkStatus();
  }));

  if (!target.empty()) return HoldTarget(scope, target);

  const uint64_t id = next_id_.fetch_add(1);
  std::vector<uint64_t> parents;
  absl::Status status = MakeDirectory(id, kind, parent_id);
  if (status.ok()) status = FaultPoint("snapshots.create.directory");
  if (status.ok()) {
    status = store_.Update([&](metadata::Writer& writer) -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> taken, Find(writer, scope, key));
      if (taken.has_value()) return AlreadyExists(key);
      GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, scope.ns));
      if (!parent.empty()) {
        GANTRY_ASSIGN_OR_RETURN(Record record, GetCommittedParent(writer, scope, parent));
        if (record.id != parent_id) {
          return absl::UnavailableError(
              absl::StrCat("parent snapshot ", parent, " was replaced meanwhile"));
        }
        ++record.children;
        GANTRY_RETURN_IF_ERROR(Put(writer, scope, record));
      }
      Record record;
      record.id = id;
      record.info = Info{key, parent, kind, absl::Now(), absl::Now(), labels};
      record.info.updated_at = record.info.created_at;
      GANTRY_RETURN_IF_ERROR(Put(writer, scope, record));
      GANTRY_RETURN_IF_ERROR(metadata::AttachToLease(writer, scope.ns, scope.lease, kBucket, key));
      GANTRY_ASSIGN_OR_RETURN(parents, ParentIds(writer, scope, parent));
      return absl::OkStatus();
    });
  }
  if (!status.ok()) {
    Discard(id);
    return status;
  }
  return MountsOf(kind, id, parents);
}

absl::Status OverlaySnapshotter::HoldTarget(const Scope& scope, const std::string& target) {
  if (!scope.lease.empty()) {
    GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> found, Find(writer, scope, target));
      if (!found.has_value()) {
        return absl::UnavailableError(
            absl::StrCat("target snapshot \"", target, "\" was removed meanwhile"));
      }
      return metadata::AttachToLease(writer, scope.ns, scope.lease, kBucket, target);
    }));
  }
  return absl::AlreadyExistsError(absl::StrCat("target snapshot \"", target, "\": already exists"));
}

absl::StatusOr<std::vector<Mount>> OverlaySnapshotter::Mounts(const Scope& scope,
                                                              const std::string& key) {
  std::vector<Mount> mounts;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Record record, Get(reader, scope, key));
    if (record.info.kind == Kind::kCommitted) {
      return absl::FailedPreconditionError(absl::StrCat(
          "snapshot ", key, " is committed, not active or a view: failed precondition"));
    }
    GANTRY_ASSIGN_OR_RETURN(const std::vector<uint64_t> parents,
                            ParentIds(reader, scope, record.info.parent));
    mounts = MountsOf(record.info.kind, record.id, parents);
    return absl::OkStatus();
  }));
  return mounts;
}

absl::Status OverlaySnapshotter::Commit(const Scope& scope, const std::string& name,
                                        const std::string& key, const Labels& labels) {
  GANTRY_RETURN_IF_ERROR(ValidateKey("snapshot name", name));
  GANTRY_RETURN_IF_ERROR(ValidateLabels(labels));
  const auto active = [&](const metadata::Reader& reader) -> absl::StatusOr<Record> {
    GANTRY_ASSIGN_OR_RETURN(Record record, Get(reader, scope, key));
    if (record.info.kind != Kind::kActive) {
      return absl::FailedPreconditionError(
          absl::StrCat("snapshot ", key, " is not active: failed precondition"));
    }
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> taken, Find(reader, scope, name));
    if (taken.has_value()) return AlreadyExists(name);
    return record;
  };
  uint64_t id = 0;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Record record, active(reader));
    id = record.id;
    return absl::OkStatus();
  }));
  GANTRY_ASSIGN_OR_RETURN(const Usage usage, DiskUsage(Directory(id, "fs")));
  GANTRY_RETURN_IF_ERROR(SyncFileSystem(Directory(id, "fs")));
  GANTRY_RETURN_IF_ERROR(FaultPoint("snapshots.commit.synced"));
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(Record record, active(writer));
    if (record.id != id) {
      return absl::UnavailableError(
          absl::StrCat("snapshot ", key, " was replaced while it was committed"));
    }
    GANTRY_RETURN_IF_ERROR(writer.Delete(kBucket, scope.ns, key).status());
    GANTRY_RETURN_IF_ERROR(Release(writer, scope, key));
    record.info.name = name;
    record.info.kind = Kind::kCommitted;
    record.info.labels = labels;
    record.info.created_at = absl::Now();
    record.info.updated_at = record.info.created_at;
    record.usage = usage;
    GANTRY_RETURN_IF_ERROR(Put(writer, scope, record));
    return metadata::AttachToLease(writer, scope.ns, scope.lease, kBucket, name);
  });
}

absl::Status OverlaySnapshotter::Remove(const Scope& scope, const std::string& key) {
  uint64_t id = 0;
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Record record, Get(writer, scope, key));
    if (record.children != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot remove snapshot ", key, " with child: failed precondition"));
    }
    id = record.id;
    writer.NoteDeletion();
    GANTRY_RETURN_IF_ERROR(Release(writer, scope, key));
    return RemoveRecord(writer, kBucket, scope.ns, record);
  }));
  // A failure from here on is a directory without a record: the next start removes it.
  GANTRY_RETURN_IF_ERROR(FaultPoint("snapshots.remove.record"));
  Discard(id);
  return absl::OkStatus();
}

absl::StatusOr<Info> OverlaySnapshotter::Stat(const Scope& scope, const std::string& key) {
  Info info;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(Record record, Get(reader, scope, key));
    info = std::move(record.info);
    return absl::OkStatus();
  }));
  return info;
}

absl::StatusOr<Info> OverlaySnapshotter::Update(const Scope& scope, const Info& info,
                                                const std::vector<std::string>& paths) {
  Info updated;
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(Record record, Get(writer, scope, info.name));
    if (paths.empty()) record.info.labels = info.labels;
    for (const std::string& path : paths) {
      if (!metadata::ApplyLabelPath(path, info.labels, &record.info.labels)) {
        return absl::InvalidArgumentError(absl::StrCat("cannot update \"", path,
                                                       "\" field on snapshot \"", info.name,
                                                       "\": invalid argument"));
      }
    }
    GANTRY_RETURN_IF_ERROR(ValidateLabels(record.info.labels));
    record.info.updated_at = absl::Now();
    updated = record.info;
    return Put(writer, scope, record);
  }));
  return updated;
}

absl::StatusOr<std::vector<Info>> OverlaySnapshotter::List(
    const Scope& scope, const std::vector<std::string>& filters) {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::vector<Info> list;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) {
    return reader.ForEach(kBucket, scope.ns,
                          [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
                            GANTRY_ASSIGN_OR_RETURN(Record record, Decode(name, bytes));
                            if (set.Match(AdaptorOf(record.info)))
                              list.push_back(std::move(record.info));
                            return absl::OkStatus();
                          });
  }));
  return list;
}

absl::StatusOr<Usage> OverlaySnapshotter::GetUsage(const Scope& scope, const std::string& key) {
  Record found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, Get(reader, scope, key));
    return absl::OkStatus();
  }));
  if (found.info.kind == Kind::kActive) return DiskUsage(Directory(found.id, "fs"));
  return found.usage;
}

absl::Status OverlaySnapshotter::Cleanup() {
  // The one cleaner thread works in order, so what was queued before this mark is done when it is
  // met.
  std::mutex mutex;
  std::condition_variable done;
  bool met = false;
  cleaner_.Run([&] {
    const std::lock_guard lock(mutex);
    met = true;
    done.notify_one();
  });
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return met; });
  return absl::OkStatus();
}

}  // namespace gantry::snapshots
