#include "services/snapshots/directory_snapshotter.h"

#include <fcntl.h>
#include <unistd.h>

#include <set>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/file.h"
#include "base/log.h"
#include "services/metadata/label_mask.h"
#include "services/metadata/namespaces.h"
#include "services/snapshots/disk_usage.h"
#include "services/snapshots/info_filter.h"

namespace gantry::snapshots {
namespace {

constexpr char kReferenceLabel[] = "containerd.io/snapshot.ref";

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

// The files of a layer reach the disk before the record that calls it committed.
absl::Status SyncFileSystem(const std::string& path) {
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (::syncfs(fd.get()) != 0)
    return ErrnoError(errno, absl::StrCat("sync the file system of ", path));
  return absl::OkStatus();
}

}  // namespace

DirectorySnapshotter::DirectorySnapshotter(const std::string& name, const std::string& root,
                                           SnapshotDirectories::Removal removal,
                                           metadata::Store& store)
    : records_(gc::kSnapshotBuckets + name),
      store_(store),
      directories_(root, removal),
      collectible_(name, [this](uint64_t id) { directories_.Discard(id); }) {}

absl::Status DirectorySnapshotter::Restore() {
  std::set<uint64_t> known;
  std::vector<std::pair<std::string, Record>> gone;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                            reader.Namespaces(records_.bucket()));
    for (const std::string& ns : namespaces) {
      GANTRY_RETURN_IF_ERROR(records_.ForEach(reader, ns, [&](Record record) {
        const bool lost = !directories_.Has(record.id);
        if (!lost || record.children != 0) known.insert(record.id);
        if (lost) gone.emplace_back(ns, std::move(record));
        return absl::OkStatus();
      }));
    }
    return absl::OkStatus();
  }));
  if (!gone.empty()) GANTRY_RETURN_IF_ERROR(Mend(gone));
  return directories_.Open(known);
}

absl::Status DirectorySnapshotter::Mend(const std::vector<std::pair<std::string, Record>>& gone) {
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    for (const auto& [ns, record] : gone) {
      LogWarn(
          record.children == 0
              ? "a snapshot without a directory is dropped: a power cut has undone its making or "
                "finished its removal"
              : "the directory of a snapshot that others are made of is lost",
          {{"snapshot", record.info.name}, {"namespace", ns}});
      if (record.children != 0) continue;
      GANTRY_RETURN_IF_ERROR(RemoveRecord(writer, records_.bucket(), ns, record));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<Mount>> DirectorySnapshotter::Prepare(const Scope& scope,
                                                                 const std::string& key,
                                                                 const std::string& parent,
                                                                 const Labels& labels) {
  return Create(Kind::kActive, scope, key, parent, labels);
}

absl::StatusOr<std::vector<Mount>> DirectorySnapshotter::View(const Scope& scope,
                                                              const std::string& key,
                                                              const std::string& parent,
                                                              const Labels& labels) {
  return Create(Kind::kView, scope, key, parent, labels);
}

absl::Status DirectorySnapshotter::Look(const Scope& scope, const std::string& key,
                                        const std::string& parent, Placed* placed,
                                        std::string* target) {
  return store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> taken, records_.Find(reader, scope, key));
    if (taken.has_value()) return AlreadyExists(key);
    if (const auto ref = placed->labels.find(kReferenceLabel);
        placed->kind == Kind::kActive && ref != placed->labels.end()) {
      GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> found,
                              records_.Find(reader, scope, ref->second));
      if (found.has_value() && found->info.kind == Kind::kCommitted) {
        *target = ref->second;
        return absl::OkStatus();
      }
    }
    if (parent.empty()) return absl::OkStatus();
    GANTRY_RETURN_IF_ERROR(records_.CommittedParent(reader, scope, parent).status());
    GANTRY_ASSIGN_OR_RETURN(placed->parents, records_.Lineage(reader, scope, parent));
    return absl::OkStatus();
  });
}

absl::StatusOr<std::vector<Mount>> DirectorySnapshotter::Create(Kind kind, const Scope& scope,
                                                                const std::string& key,
                                                                const std::string& parent,
                                                                const Labels& labels) {
  GANTRY_RETURN_IF_ERROR(ValidateKey("snapshot key", key));
  GANTRY_RETURN_IF_ERROR(ValidateLabels(labels));
  Placed placed{.kind = kind, .labels = labels};
  std::string target;
  GANTRY_RETURN_IF_ERROR(Look(scope, key, parent, &placed, &target));
  if (!target.empty()) return HoldTarget(scope, target);

  placed.id = directories_.NextId();
  // First, so that a snapshot which nobody could mount is not made.
  GANTRY_ASSIGN_OR_RETURN(std::vector<Mount> mounts, MountsOf(placed));
  absl::Status status = directories_.Make(placed.id, "", 0700);
  if (status.ok()) status = Fill(placed);
  if (status.ok()) status = FaultPoint("snapshots.create.directory");
  if (status.ok()) status = WriteRecord(scope, key, parent, placed);
  if (!status.ok()) {
    directories_.Discard(placed.id);
    return status;
  }
  return mounts;
}

absl::Status DirectorySnapshotter::WriteRecord(const Scope& scope, const std::string& key,
                                               const std::string& parent, const Placed& placed) {
  const auto write = [&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> taken, records_.Find(writer, scope, key));
    if (taken.has_value()) return AlreadyExists(key);
    GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, scope.ns));
    if (!parent.empty()) {
      GANTRY_ASSIGN_OR_RETURN(Record record, records_.CommittedParent(writer, scope, parent));
      if (record.id != placed.parents.front()) {
        return absl::UnavailableError(
            absl::StrCat("parent snapshot ", parent, " was replaced meanwhile"));
      }
      ++record.children;
      GANTRY_RETURN_IF_ERROR(records_.Put(writer, scope, record));
    }
    Record record;
    record.id = placed.id;
    record.info = Info{key, parent, placed.kind, absl::Now(), absl::Now(), placed.labels};
    record.info.updated_at = record.info.created_at;
    GANTRY_RETURN_IF_ERROR(records_.Put(writer, scope, record));
    return records_.Hold(writer, scope, key);
  };
  return store_.Update(write, metadata::OnDisk::kWithNext);
}

absl::Status DirectorySnapshotter::HoldTarget(const Scope& scope, const std::string& target) {
  if (!scope.lease.empty()) {
    GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> found,
                              records_.Find(writer, scope, target));
      if (!found.has_value()) {
        return absl::UnavailableError(
            absl::StrCat("target snapshot \"", target, "\" was removed meanwhile"));
      }
      return records_.Hold(writer, scope, target);
    }));
  }
  return absl::AlreadyExistsError(absl::StrCat("target snapshot \"", target, "\": already exists"));
}

absl::StatusOr<DirectorySnapshotter::Placed> DirectorySnapshotter::Find(const Scope& scope,
                                                                        const std::string& key) {
  Placed placed;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(Record record, records_.Get(reader, scope, key));
    if (record.info.kind == Kind::kCommitted) {
      return absl::FailedPreconditionError(absl::StrCat(
          "snapshot ", key, " is committed, not active or a view: failed precondition"));
    }
    placed = {.kind = record.info.kind, .id = record.id, .labels = std::move(record.info.labels)};
    GANTRY_ASSIGN_OR_RETURN(placed.parents, records_.Lineage(reader, scope, record.info.parent));
    return absl::OkStatus();
  }));
  return placed;
}

absl::StatusOr<std::vector<Mount>> DirectorySnapshotter::Mounts(const Scope& scope,
                                                                const std::string& key) {
  GANTRY_ASSIGN_OR_RETURN(const Placed placed, Find(scope, key));
  return MountsOf(placed);
}

absl::Status DirectorySnapshotter::Commit(const Scope& scope, const std::string& name,
                                          const std::string& key, const Labels& labels) {
  GANTRY_RETURN_IF_ERROR(ValidateKey("snapshot name", name));
  GANTRY_RETURN_IF_ERROR(ValidateLabels(labels));
  const auto active = [&](const metadata::Reader& reader) -> absl::StatusOr<Record> {
    GANTRY_ASSIGN_OR_RETURN(Record record, records_.Get(reader, scope, key));
    if (record.info.kind != Kind::kActive) {
      return absl::FailedPreconditionError(
          absl::StrCat("snapshot ", key, " is not active: failed precondition"));
    }
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Record> taken, records_.Find(reader, scope, name));
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
    GANTRY_RETURN_IF_ERROR(writer.Delete(records_.bucket(), scope.ns, key).status());
    GANTRY_RETURN_IF_ERROR(records_.Release(writer, scope, key));
    record.info.name = name;
    record.info.kind = Kind::kCommitted;
    record.info.labels = labels;
    record.info.created_at = absl::Now();
    record.info.updated_at = record.info.created_at;
    record.usage = usage;
    GANTRY_RETURN_IF_ERROR(records_.Put(writer, scope, record));
    return records_.Hold(writer, scope, name);
  });
}

absl::Status DirectorySnapshotter::Remove(const Scope& scope, const std::string& key) {
  uint64_t id = 0;
  const auto remove = [&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const Record record, records_.Get(writer, scope, key));
    if (record.children != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot remove snapshot ", key, " with child: failed precondition"));
    }
    id = record.id;
    writer.NoteDeletion();
    GANTRY_RETURN_IF_ERROR(records_.Release(writer, scope, key));
    return RemoveRecord(writer, records_.bucket(), scope.ns, record);
  };
  GANTRY_RETURN_IF_ERROR(store_.Update(remove, metadata::OnDisk::kWithNext));
  // A failure from here on is a directory without a record: the next start removes it.
  GANTRY_RETURN_IF_ERROR(FaultPoint("snapshots.remove.record"));
  directories_.Discard(id);
  return absl::OkStatus();
}

absl::StatusOr<Info> DirectorySnapshotter::Stat(const Scope& scope, const std::string& key) {
  Info info;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(Record record, records_.Get(reader, scope, key));
    info = std::move(record.info);
    Describe(record.id, &info);
    return absl::OkStatus();
  }));
  return info;
}

absl::StatusOr<Info> DirectorySnapshotter::Update(const Scope& scope, const Info& info,
                                                  const std::vector<std::string>& paths) {
  GANTRY_RETURN_IF_ERROR(ValidateKey("snapshot name", info.name));
  Info updated;
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(Record record, records_.Get(writer, scope, info.name));
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
    Describe(record.id, &updated);
    return records_.Put(writer, scope, record);
  }));
  return updated;
}

absl::StatusOr<std::vector<Info>> DirectorySnapshotter::List(
    const Scope& scope, const std::vector<std::string>& filters) {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::vector<Info> list;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) {
    return records_.ForEach(reader, scope.ns, [&](Record record) {
      if (!set.Match(AdaptorOf(record.info))) return absl::OkStatus();
      Describe(record.id, &record.info);
      list.push_back(std::move(record.info));
      return absl::OkStatus();
    });
  }));
  return list;
}

absl::StatusOr<Usage> DirectorySnapshotter::GetUsage(const Scope& scope, const std::string& key) {
  Record found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, records_.Get(reader, scope, key));
    return absl::OkStatus();
  }));
  if (found.info.kind == Kind::kActive) return DiskUsage(Directory(found.id, "fs"));
  return found.usage;
}

absl::Status DirectorySnapshotter::Cleanup() {
  directories_.Wait();
  return absl::OkStatus();
}

}  // namespace gantry::snapshots
