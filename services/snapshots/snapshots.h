#ifndef GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_H_
#define GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/identifiers.h"

namespace gantry::snapshots {

// One mount that makes a snapshot visible, in containerd's form: `type` "bind" or "overlay",
// `options` as mount(8) takes them.
struct Mount {
  std::string type;
  std::string source;
  std::string target;
  std::vector<std::string> options;

  bool operator==(const Mount&) const = default;
};

// Values are those of containerd.services.snapshots.v1.Kind.
enum class Kind { kUnknown = 0, kView = 1, kActive = 2, kCommitted = 3 };

struct Info {
  std::string name;    // a key (view, active) or a name (committed); one name space for both
  std::string parent;  // name of a committed snapshot, or empty
  Kind kind = Kind::kUnknown;
  absl::Time created_at;
  absl::Time updated_at;
  Labels labels;
};

struct Usage {
  int64_t size_bytes = 0;  // blocks taken, a file with several links counted once
  int64_t inodes = 0;
};

// What a request brings along besides its fields.
struct Scope {
  std::string ns;     // namespace; keys and names of one are not seen in another
  std::string lease;  // what the request makes is held by this lease; may be empty
};

// A snapshotter as containerd's contract has it (containerd docs/snapshotters). Thread-safe. Calls
// block on the disk: run them on an executor.
class Snapshotter {
 public:
  virtual ~Snapshotter() = default;

  // Makes an active (writable) snapshot `key` on the committed `parent` ("" for none) and gives its
  // mounts. Errors: AlreadyExists if `key` is taken, or if a label containerd.io/snapshot.ref names
  // a committed snapshot that is there; NotFound for the parent; InvalidArgument for an empty key
  // or a parent that is not committed.
  virtual absl::StatusOr<std::vector<Mount>> Prepare(const Scope& scope, const std::string& key,
                                                     const std::string& parent,
                                                     const Labels& labels) = 0;
  // The same, read-only.
  virtual absl::StatusOr<std::vector<Mount>> View(const Scope& scope, const std::string& key,
                                                  const std::string& parent,
                                                  const Labels& labels) = 0;
  // Mounts of an active snapshot or view. Errors: NotFound; FailedPrecondition if committed.
  virtual absl::StatusOr<std::vector<Mount>> Mounts(const Scope& scope, const std::string& key) = 0;
  // Turns the active `key` into the committed `name`, with `labels` in place of its own. Durable
  // when it returns, files included. Errors: NotFound, AlreadyExists, FailedPrecondition if not
  // active.
  virtual absl::Status Commit(const Scope& scope, const std::string& name, const std::string& key,
                              const Labels& labels) = 0;
  // Errors: NotFound; FailedPrecondition while another snapshot is its child.
  virtual absl::Status Remove(const Scope& scope, const std::string& key) = 0;
  virtual absl::StatusOr<Info> Stat(const Scope& scope, const std::string& key) = 0;
  // `paths` is the update mask: "labels", "labels.KEY", or empty for all labels.
  virtual absl::StatusOr<Info> Update(const Scope& scope, const Info& info,
                                      const std::vector<std::string>& paths) = 0;
  // Ordered by name; a snapshot is listed if any of `filters` matches (none: all). Fields: name,
  // parent, kind (view, active, committed), labels.
  virtual absl::StatusOr<std::vector<Info>> List(const Scope& scope,
                                                 const std::vector<std::string>& filters) = 0;
  // What the snapshot itself adds to its parents; measured at commit, and now for an active one.
  virtual absl::StatusOr<Usage> GetUsage(const Scope& scope, const std::string& key) = 0;
  // Waits until the removals begun so far have given their space back. Directories without a record
  // exist only after a crash, and Open removes them.
  virtual absl::Status Cleanup() = 0;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SNAPSHOTS_H_
