#include "services/snapshots/snapshot_backup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/gc/gc.h"
#include "services/snapshots/link_tree.h"
#include "services/snapshots/snapshot_record.h"

namespace gantry::snapshots {
namespace {

using Place = std::pair<std::string, std::string>;  // namespace, name

absl::StatusOr<std::map<Place, Record>> ReadRecords(const std::string& bucket,
                                                    const metadata::Store& records) {
  std::map<Place, Record> found;
  GANTRY_RETURN_IF_ERROR(records.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces, reader.Namespaces(bucket));
    for (const std::string& ns : namespaces) {
      GANTRY_RETURN_IF_ERROR(reader.ForEach(
          bucket, ns, [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
            GANTRY_ASSIGN_OR_RETURN(found[Place(ns, name)], Decode(name, bytes));
            return absl::OkStatus();
          }));
    }
    return absl::OkStatus();
  }));
  return found;
}

bool IsOneFileSystem(const std::string& a, const std::string& b) {
  struct stat of_a {};
  struct stat of_b {};
  return ::stat(a.c_str(), &of_a) == 0 && ::stat(b.c_str(), &of_b) == 0 &&
         of_a.st_dev == of_b.st_dev;
}

absl::Status Keep(const std::string& root, const std::string& destination, uint64_t id) {
  const std::string directory = absl::StrCat(destination, "/", id);
  if (::mkdir(directory.c_str(), 0700) != 0) {
    // A committed snapshot of an earlier try is whole or not there.
    if (errno == EEXIST) return absl::OkStatus();
    return ErrnoError(errno, absl::StrCat("create directory ", directory));
  }
  const absl::Status linked =
      LinkTree(absl::StrCat(root, "/", id, "/fs"), absl::StrCat(directory, "/fs"));
  if (linked.ok()) return linked;
  GANTRY_RETURN_IF_ERROR(RemoveTree(directory));
  if (absl::IsNotFound(linked)) return absl::UnavailableError(linked.message());
  return linked;
}

// Takes the records of `dropped` out, and counts the children of those that stay anew.
absl::Status DropRecords(const std::string& bucket, std::map<Place, Record> all,
                         const std::vector<Place>& dropped, metadata::Store& records) {
  for (const Place& place : dropped) all.erase(place);
  for (auto& [place, record] : all) record.children = 0;
  for (const auto& [place, record] : all) {
    const auto parent = all.find({place.first, record.info.parent});
    if (parent != all.end()) ++parent->second.children;
  }
  return records.Update([&](metadata::Writer& writer) -> absl::Status {
    for (const Place& place : dropped) {
      GANTRY_RETURN_IF_ERROR(writer.Delete(bucket, place.first, place.second).status());
    }
    for (const auto& [place, record] : all) {
      GANTRY_RETURN_IF_ERROR(writer.Put(bucket, place.first, place.second, Encode(record)));
    }
    return absl::OkStatus();
  });
}

}  // namespace

absl::StatusOr<BackedUpSnapshots> BackUpSnapshots(const std::string& root,
                                                  const std::string& destination,
                                                  const std::string& name,
                                                  metadata::Store& records) {
  const std::string bucket = gc::kSnapshotBuckets + name;
  GANTRY_ASSIGN_OR_RETURN(const auto all, ReadRecords(bucket, records));
  GANTRY_RETURN_IF_ERROR(MakeDirectories(destination, 0700));
  const bool linkable = IsOneFileSystem(root, destination);
  BackedUpSnapshots result;
  std::vector<Place> dropped;
  for (const auto& [place, record] : all) {
    if (!linkable || record.info.kind != Kind::kCommitted) {
      dropped.push_back(place);
      continue;
    }
    GANTRY_RETURN_IF_ERROR(
        Annotate(Keep(root, destination, record.id), absl::StrCat("snapshot ", place.second)));
    ++result.kept;
  }
  result.dropped = dropped.size();
  if (!dropped.empty()) GANTRY_RETURN_IF_ERROR(DropRecords(bucket, all, dropped, records));
  return result;
}

}  // namespace gantry::snapshots
