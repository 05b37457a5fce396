#ifndef GANTRY_SERVICES_GC_GC_H_
#define GANTRY_SERVICES_GC_GC_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/identifiers.h"
#include "services/metadata/store.h"

namespace gantry::gc {

// A record as a collection sees it: by its place in the metadata store.
struct Node {
  std::string bucket;
  std::string ns;
  std::string name;
  // Held alone (with what it cannot do without, as a snapshot its parents), not with what its
  // labels refer to: so holds a lease that is labelled containerd.io/gc.flat.
  bool flat = false;

  bool operator==(const Node&) const = default;
};

inline constexpr char kContentBucket[] = "blobs";
inline constexpr char kIngestBucket[] = "ingests";
inline constexpr char kImageBucket[] = "images";
inline constexpr char kContainerBucket[] = "containers";
inline constexpr char kLeaseBucket[] = "leases";
inline constexpr char kSnapshotBuckets[] = "snapshots/";  // and the snapshotter's name

// What one record means to a collection.
struct Links {
  bool root = false;           // lives by itself
  std::vector<Node> held;      // live with this, even where this is held flat
  std::vector<Node> labelled;  // live with this because labels of this say so
  std::vector<Node> owners;    // this lives with any of them because labels of this say so
};

// Adds what the labels of a record in `ns` say: containerd.io/gc.root and gc.expire make it a root,
// gc.ref.content[.x|/x], gc.ref.image[.x|/x] and gc.ref.snapshot.NAME[/x] refer, gc.bref.* refer
// back. A label that is like one of these and is none is passed over. Source: containerd
// docs/garbage-collection.md.
void AddLabelLinks(absl::string_view ns, const Labels& labels, absl::Time now, Links* links);

// Whether containerd.io/gc.expire is there and past. A time that cannot be read has not come.
bool IsExpired(const Labels& labels, absl::Time now);

// One bucket of records that takes part in collections. All calls but the constructor come from the
// collector.
class Collectible {
 public:
  virtual ~Collectible() = default;
  [[nodiscard]] virtual std::string bucket() const = 0;
  // The record of this bucket whose links change when `written` is; none if that is another's.
  [[nodiscard]] virtual std::optional<Node> Affected(const metadata::RecordName& written) const;
  // What the record says whose value is `bytes`. Errors: DataLoss.
  [[nodiscard]] virtual absl::StatusOr<Links> LinksOf(const metadata::Reader& reader,
                                                      const Node& node, absl::string_view bytes,
                                                      absl::Time now) const = 0;
  // Deletes a record that nothing reaches. False if it stays because a request in flight uses it.
  // Runs in the store's transaction: no I/O, no waiting.
  virtual absl::StatusOr<bool> Remove(metadata::Writer& writer, const Node& node);
  // The transaction of the last removals has ended: their files go, or it was as if nothing had
  // been asked. May block on the disk.
  virtual void Settle(bool committed);
  // The end of a collection that went through. May block on the disk.
  virtual absl::Status Finish();
};

// Who runs collections, for deletes that wait for one. Thread-safe.
class Trigger {
 public:
  virtual ~Trigger() = default;
  // Calls `done` once after a collection that began after this call, with what came of it; from the
  // thread that collects, so it must not block. Errors: Unavailable if the daemon ends before.
  virtual void CollectThen(std::function<void(const absl::Status&)> done) = 0;
};

}  // namespace gantry::gc

#endif  // GANTRY_SERVICES_GC_GC_H_
