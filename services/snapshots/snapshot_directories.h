#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_DIRECTORIES_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_DIRECTORIES_H_

#include <atomic>
#include <cstdint>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/executor.h"

namespace gantry::snapshots {

// The directories <root>/<id> of one snapshotter. One that goes is renamed away at once, and what
// is in it is unlinked in the background; what a crash leaves of that goes at the next start.
// Thread-safe.
class SnapshotDirectories {
 public:
  enum class Removal { kInBackground, kAwaited };
  SnapshotDirectories(std::string root, Removal removal)
      : root_(std::move(root)), removal_(removal) {}

  // Makes the root if it is missing, and begins to remove the directories that are not of `known`.
  // Call first.
  absl::Status Open(const std::set<uint64_t>& known);

  // A number that no directory has.
  uint64_t NextId() { return next_id_.fetch_add(1); }
  [[nodiscard]] std::string Path(uint64_t id, absl::string_view part = "") const;
  // Whether the snapshot's files have their directory, "fs": the last of its parts to be made.
  [[nodiscard]] bool Has(uint64_t id) const;
  // Makes a part, or with "" the directory itself. Errors: those of mkdir(2).
  absl::Status Make(uint64_t id, absl::string_view part, mode_t mode);
  // Nothing to do is fine; what cannot be removed is logged, and tried again at the next start.
  void Discard(uint64_t id);
  // Waits until the removals begun so far are done.
  void Wait();

 private:
  const std::string root_;
  const Removal removal_;
  std::atomic<uint64_t> next_id_{1};
  Executor cleaner_{1};
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOT_DIRECTORIES_H_
