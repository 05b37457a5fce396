#ifndef GANTRY_SERVICES_GC_COLLECTOR_H_
#define GANTRY_SERVICES_GC_COLLECTOR_H_

#include <atomic>
#include <functional>
#include <vector>

#include "services/gc/gc.h"
#include "services/gc/marker.h"

namespace gantry::gc {

// What a collection did.
struct Stats {
  size_t marked = 0;   // records that are alive
  size_t removed = 0;  // records that were not
  absl::Duration mark;
  absl::Duration sweep;    // records
  absl::Duration cleanup;  // their files
};

enum class Scope {
  kRecords,         // what nothing reaches
  kFilesOfDeleted,  // only what records that clients have deleted leave behind
};

// Removes the records that nothing reaches, and then what they stood for.
//
// The mark reads one snapshot of the store and holds up no writer. The sweep deletes in
// transactions of a few hundred records, each of which first marks what was written since (marker.h
// says why that is enough), so a record that a request has just made or referred to stays. Files go
// after the transaction that deleted their records.
class Collector {
 public:
  using OnRemoved = std::function<void(const std::vector<Node>& nodes)>;

  // `removed` is told of records that are gone for good, from the thread that collects. The others
  // outlive this.
  Collector(metadata::Store& store, std::vector<Collectible*> kinds, Scope scope, OnRemoved removed)
      : store_(store), kinds_(std::move(kinds)), scope_(scope), removed_(std::move(removed)) {}

  // One collection; one at a time. What an error leaves is garbage still, for the next one.
  absl::StatusOr<Stats> Collect();
  // Has a collection end early, with Cancelled. From any thread.
  void Cancel() { cancelled_ = true; }

 private:
  using Candidates = std::vector<Marker::Candidate>;
  absl::Status CollectRecords(Stats* stats);
  absl::Status RecordPuts(bool on);
  absl::Status Sweep(Marker& marker, std::span<const Marker::Candidate> candidates, Stats* stats);

  metadata::Store& store_;
  const std::vector<Collectible*> kinds_;
  const Scope scope_;
  const OnRemoved removed_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace gantry::gc

#endif  // GANTRY_SERVICES_GC_COLLECTOR_H_
