#include "services/snapshots/snapshot_check.h"

#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/gc/gc.h"
#include "services/snapshots/snapshot_record.h"

namespace gantry::snapshots {
namespace {

using check::Finding;

// A snapshot by its place: namespace, name.
using Place = std::pair<std::string, std::string>;

class SnapshotCheck {
 public:
  SnapshotCheck(const std::string& root, const std::string& name, metadata::Store& store,
                const check::Options& options, const check::Report& report)
      : root_(root),
        bucket_(gc::kSnapshotBuckets + name),
        store_(store),
        options_(options),
        report_(report) {}

  absl::StatusOr<size_t> Run() {
    GANTRY_RETURN_IF_ERROR(ReadRecords());
    const size_t count = records_.size();
    FindUnusable();
    GANTRY_RETURN_IF_ERROR(SettleUnusable());
    GANTRY_RETURN_IF_ERROR(CheckCounts());
    GANTRY_RETURN_IF_ERROR(CheckDirectories());
    return count;
  }

 private:
  absl::Status ReadRecords() {
    return store_.View([&](const metadata::Reader& reader) -> absl::Status {
      GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                              reader.Namespaces(bucket_));
      for (const std::string& ns : namespaces) {
        GANTRY_RETURN_IF_ERROR(reader.ForEach(
            bucket_, ns, [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
              absl::StatusOr<Record> record = Decode(name, bytes);
              if (record.ok()) {
                records_[{ns, std::string(name)}] = *std::move(record);
              } else {
                // Its directory cannot be told from one without a record: nothing is removed then.
                unreadable_ = true;
                report_({.kind = "snapshot.unreadable",
                         .subject = std::string(name),
                         .where = ns,
                         .detail = std::string(record.status().message())});
              }
              return absl::OkStatus();
            }));
      }
      return absl::OkStatus();
    });
  }

  void FindUnusable() {
    for (const auto& [place, record] : records_) {
      const std::string& parent = record.info.parent;
      if (!parent.empty()) children_[{place.first, parent}].push_back(place);
      const std::string directory = absl::StrCat(root_, "/", record.id, "/fs");
      struct stat st {};
      if (::lstat(directory.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) {
        unusable_[place] = {"snapshot.missing", absl::StrCat("there is no directory ", directory)};
      } else if (!parent.empty() && records_.count({place.first, parent}) == 0) {
        unusable_[place] = {"snapshot.parent",
                            absl::StrCat("its parent ", parent, " is not there")};
      }
    }
  }

  // `place` and all that is made from it.
  std::set<Place> Tree(const Place& place) const {
    std::set<Place> tree;
    std::vector<Place> next = {place};
    while (!next.empty()) {
      const Place at = next.back();
      next.pop_back();
      if (!tree.insert(at).second) continue;
      const auto found = children_.find(at);
      if (found != children_.end()) {
        next.insert(next.end(), found->second.begin(), found->second.end());
      }
    }
    return tree;
  }

  absl::Status SettleUnusable() {
    for (const auto& [place, why] : unusable_) {
      if (records_.count(place) == 0) continue;  // gone with its parent
      Finding finding = {.kind = why.first,
                         .subject = place.second,
                         .where = place.first,
                         .detail = why.second,
                         .lost = true};
      if (options_.repair) GANTRY_RETURN_IF_ERROR(RemoveTreeOf(place, &finding));
      report_(finding);
    }
    return absl::OkStatus();
  }

  absl::Status RemoveTreeOf(const Place& place, Finding* finding) {
    const std::set<Place> tree = Tree(place);
    for (const Place& each : tree) {
      const Record& record = records_.at(each);
      const bool has_files =
          unusable_.count(each) == 0 || unusable_.at(each).first != "snapshot.missing";
      if (record.info.kind != Kind::kActive || !has_files) continue;
      absl::StrAppend(&finding->detail, "; it stays, since the active snapshot ", each.second,
                      " is made from it");
      return absl::OkStatus();
    }
    GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
      for (const Place& each : tree) {
        GANTRY_RETURN_IF_ERROR(writer.Delete(bucket_, each.first, each.second).status());
      }
      return absl::OkStatus();
    }));
    std::vector<std::string> names;
    for (const Place& each : tree) {
      names.push_back(each.second);
      records_.erase(each);
    }
    finding->mended = absl::StrCat("removed, to be unpacked again: ", absl::StrJoin(names, ", "));
    return absl::OkStatus();
  }

  absl::Status CheckCounts() {
    std::map<Place, uint64_t> counts;
    for (const auto& [place, record] : records_) {
      if (!record.info.parent.empty()) ++counts[{place.first, record.info.parent}];
    }
    for (auto& [place, record] : records_) {
      const uint64_t count = counts.count(place) == 0 ? 0 : counts[place];
      if (record.children == count) continue;
      // What was removed above leaves the counts of parents behind.
      Finding finding = {.kind = "snapshot.children",
                         .subject = place.second,
                         .where = place.first,
                         .detail = absl::StrCat("its record says ", record.children,
                                                " children, there are ", count)};
      if (options_.repair) {
        record.children = count;
        const std::string bytes = Encode(record);
        const Place& at = place;
        GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) {
          return writer.Put(bucket_, at.first, at.second, bytes);
        }));
        finding.mended = "the count was set right";
      }
      report_(finding);
    }
    return absl::OkStatus();
  }

  absl::Status CheckDirectories() {
    std::set<uint64_t> known;
    for (const auto& [place, record] : records_) {
      if (known.insert(record.id).second) continue;
      report_({.kind = "snapshot.shared",
               .subject = place.second,
               .where = place.first,
               .detail = absl::StrCat("another snapshot has its directory ", record.id, " too")});
    }
    const absl::StatusOr<std::vector<std::string>> names = ListDirectory(root_);
    if (absl::IsNotFound(names.status())) return absl::OkStatus();
    GANTRY_RETURN_IF_ERROR(names.status());
    for (const std::string& name : *names) {
      uint64_t id = 0;
      if (absl::SimpleAtoi(name, &id) && known.count(id) != 0) continue;
      // A removal that a crash has cut short goes on at the next start.
      if (absl::StartsWith(name, kDiscardPrefix)) continue;
      Finding finding = {.kind = "snapshot.orphan",
                         .subject = absl::StrCat(root_, "/", name),
                         .detail = "no record names it"};
      if (options_.repair && !unreadable_) {
        GANTRY_RETURN_IF_ERROR(RemoveTree(finding.subject));
        finding.mended = "it was removed";
      }
      report_(finding);
    }
    return absl::OkStatus();
  }

  const std::string& root_;
  const std::string bucket_;
  metadata::Store& store_;
  const check::Options& options_;
  const check::Report& report_;
  std::map<Place, Record> records_;
  std::map<Place, std::vector<Place>> children_;
  std::map<Place, std::pair<std::string, std::string>> unusable_;  // kind, detail
  bool unreadable_ = false;
};

}  // namespace

absl::StatusOr<size_t> CheckSnapshots(const std::string& root, const std::string& name,
                                      metadata::Store& store, const check::Options& options,
                                      const check::Report& report) {
  return SnapshotCheck(root, name, store, options, report).Run();
}

}  // namespace gantry::snapshots
