#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/time.h"
#include "services/gc/gc.h"

namespace gantry::gc {
namespace {

constexpr absl::string_view kPrefix = "containerd.io/gc.";
constexpr char kExpire[] = "containerd.io/gc.expire";

// The bucket that a label refers to: `kind` is what follows "ref." or "bref.". Empty if none.
std::string BucketOf(absl::string_view kind) {
  for (const auto& [word, bucket] :
       {std::pair<absl::string_view, const char*>("content", kContentBucket),
        {"image", kImageBucket},
        {"container", kContainerBucket}}) {
    absl::string_view name = kind;
    if (!absl::ConsumePrefix(&name, word)) continue;
    // Names tell several references of one record apart.
    return name.empty() || name.front() == '.' || name.front() == '/' ? bucket : "";
  }
  if (!absl::ConsumePrefix(&kind, "snapshot.")) return "";
  const absl::string_view snapshotter = kind.substr(0, kind.find('/'));
  return snapshotter.empty() ? "" : absl::StrCat(kSnapshotBuckets, snapshotter);
}

}  // namespace

bool IsExpired(const Labels& labels, absl::Time now) {
  const auto found = labels.find(kExpire);
  if (found == labels.end()) return false;
  const absl::StatusOr<absl::Time> expires = ParseRfc3339(found->second);
  return expires.ok() && *expires < now;
}

void AddLabelLinks(absl::string_view ns, const Labels& labels, absl::Time now, Links* links) {
  for (auto label = labels.lower_bound(std::string(kPrefix)); label != labels.end(); ++label) {
    absl::string_view key = label->first;
    if (!absl::ConsumePrefix(&key, kPrefix)) break;
    const auto add = [&](const std::string& bucket, std::vector<Node>* nodes) {
      if (bucket.empty()) return;
      nodes->push_back({.bucket = bucket, .ns = std::string(ns), .name = label->second});
    };
    if (absl::ConsumePrefix(&key, "ref.")) {
      // Containers are roots by themselves: there is no reference to one.
      if (const std::string bucket = BucketOf(key); bucket != kContainerBucket) {
        add(bucket, &links->labelled);
      }
    } else if (absl::ConsumePrefix(&key, "bref.")) {
      add(BucketOf(key), &links->owners);
    } else if (absl::StartsWith(key, "root")) {
      links->root = true;
    } else if (key == "expire") {
      const absl::StatusOr<absl::Time> expires = ParseRfc3339(label->second);
      if (expires.ok() && *expires >= now) links->root = true;
    }
  }
}

}  // namespace gantry::gc
