#include "absl/strings/match.h"
#include "services/gc/gc.h"
#include "tests/fuzz/fuzz_input.h"

// Lines are labels, keys and values in turn; keys without a prefix get the collector's.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gantry;
  const std::vector<std::string> lines = fuzz::Lines(data, size);
  Labels labels;
  for (size_t i = 0; i + 1 < lines.size(); i += 2) {
    const bool whole = absl::StartsWith(lines[i], "containerd.io/");
    labels[(whole ? "" : "containerd.io/gc.") + lines[i]] = lines[i + 1];
  }
  const absl::Time now = absl::FromUnixSeconds(1800000000);
  gc::Links links;
  gc::AddLabelLinks("ns", labels, now, &links);
  fuzz::Require(links.labelled.size() + links.owners.size() <= labels.size());
  for (const auto* nodes : {&links.labelled, &links.owners}) {
    for (const gc::Node& node : *nodes) {
      // Whatever a label says stays in its namespace and names a bucket of the collector's.
      fuzz::Require(node.ns == "ns" && !node.flat);
      fuzz::Require(node.bucket == gc::kContentBucket || node.bucket == gc::kImageBucket ||
                    node.bucket == gc::kContainerBucket ||
                    (absl::StartsWith(node.bucket, gc::kSnapshotBuckets) &&
                     node.bucket.find('/', 10) == std::string::npos));
    }
  }
  if (gc::IsExpired(labels, now)) fuzz::Require(labels.count("containerd.io/gc.expire") == 1);
  return 0;
}
