#include "services/gc/collector.h"

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/fault_point.h"
#include "base/log.h"

namespace gantry::gc {
namespace {

// A few milliseconds of the writer's time.
constexpr size_t kSweepBatch = 512;

}  // namespace

absl::Status Collector::RecordPuts(bool on) {
  return store_.Update([on](metadata::Writer& writer) {
    writer.HideChanges();
    writer.RecordPuts(on);
    return absl::OkStatus();
  });
}

absl::StatusOr<Stats> Collector::Collect() {
  Stats stats;
  if (scope_ == Scope::kRecords) GANTRY_RETURN_IF_ERROR(CollectRecords(&stats));
  const absl::Time swept = absl::Now();
  for (Collectible* kind : kinds_) GANTRY_RETURN_IF_ERROR(kind->Finish());
  stats.cleanup += absl::Now() - swept;
  GANTRY_RETURN_IF_ERROR(FaultPoint("gc.finished"));
  return stats;
}

absl::Status Collector::CollectRecords(Stats* stats) {
  const absl::Time start = absl::Now();
  // Before the snapshot: a record put between the two is in both, and that does no harm.
  GANTRY_RETURN_IF_ERROR(RecordPuts(true));
  const absl::Cleanup stop = [this] {
    if (absl::Status status = RecordPuts(false); !status.ok()) LogWarn(status.message());
  };
  Marker marker(kinds_, start);
  Candidates candidates;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(marker.Mark(reader));
    GANTRY_ASSIGN_OR_RETURN(candidates, marker.Unmarked(reader));
    return absl::OkStatus();
  }));
  stats->marked = marker.marked();
  stats->mark = absl::Now() - start;
  GANTRY_RETURN_IF_ERROR(FaultPoint("gc.marked"));

  std::span<const Marker::Candidate> rest(candidates);
  while (!rest.empty()) {
    if (cancelled_) return absl::CancelledError("the collection was cancelled");
    const size_t size = std::min(rest.size(), kSweepBatch);
    GANTRY_RETURN_IF_ERROR(Sweep(marker, rest.first(size), stats));
    rest = rest.subspan(size);
  }
  return absl::OkStatus();
}

absl::Status Collector::Sweep(Marker& marker, std::span<const Marker::Candidate> candidates,
                              Stats* stats) {
  const absl::Time start = absl::Now();
  std::vector<Node> removed;
  absl::Status status = store_.Update([&](metadata::Writer& writer) -> absl::Status {
    writer.HideChanges();
    GANTRY_RETURN_IF_ERROR(marker.MarkWritten(writer, writer.TakePuts()));
    for (const Marker::Candidate& candidate : candidates) {
      if (marker.IsMarked(candidate.node)) continue;
      GANTRY_ASSIGN_OR_RETURN(const bool gone, candidate.kind->Remove(writer, candidate.node));
      if (gone) removed.push_back(candidate.node);
    }
    // What a removal puts (a parent that has lost a child) keeps nothing alive.
    writer.TakePuts();
    return absl::OkStatus();
  });
  const absl::Time committed = absl::Now();
  stats->sweep += committed - start;
  if (status.ok()) status = FaultPoint("gc.swept");
  for (Collectible* kind : kinds_) kind->Settle(status.ok());
  GANTRY_RETURN_IF_ERROR(status);
  stats->removed += removed.size();
  if (removed_ != nullptr && !removed.empty()) removed_(removed);
  stats->cleanup += absl::Now() - committed;
  return FaultPoint("gc.settled");
}

}  // namespace gantry::gc
