#ifndef GANTRY_SERVICES_SNAPSHOTS_SHARED_SNAPSHOTTER_H_
#define GANTRY_SERVICES_SNAPSHOTS_SHARED_SNAPSHOTTER_H_

#include <string>
#include <vector>

#include "services/metadata/store.h"
#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// A snapshotter of this process as another daemon uses it, one that keeps namespaces itself: it
// names its namespace with some calls and not with others, as when it removes what is garbage
// anywhere. What it makes without one is in none, and found whichever it names later; where it
// names none, the namespace that has the key is meant. Thread-safe.
//
// Errors beside the snapshotter's own: FailedPrecondition if a key is in several namespaces.
class SharedSnapshotter final : public Snapshotter {
 public:
  // Both outlive this.
  SharedSnapshotter(Snapshotter& inner, const metadata::Store& store)
      : inner_(inner), store_(store) {}

  absl::StatusOr<std::vector<Mount>> Prepare(const Scope& scope, const std::string& key,
                                             const std::string& parent,
                                             const Labels& labels) override;
  absl::StatusOr<std::vector<Mount>> View(const Scope& scope, const std::string& key,
                                          const std::string& parent, const Labels& labels) override;
  absl::StatusOr<std::vector<Mount>> Mounts(const Scope& scope, const std::string& key) override;
  absl::Status Commit(const Scope& scope, const std::string& name, const std::string& key,
                      const Labels& labels) override;
  absl::Status Remove(const Scope& scope, const std::string& key) override;
  absl::StatusOr<Info> Stat(const Scope& scope, const std::string& key) override;
  absl::StatusOr<Info> Update(const Scope& scope, const Info& info,
                              const std::vector<std::string>& paths) override;
  absl::StatusOr<std::vector<Info>> List(const Scope& scope,
                                         const std::vector<std::string>& filters) override;
  absl::StatusOr<Usage> GetUsage(const Scope& scope, const std::string& key) override;
  absl::Status Cleanup() override { return inner_.Cleanup(); }

 private:
  // The namespaces that may hold snapshots, and none.
  absl::StatusOr<std::vector<std::string>> Namespaces() const;
  // `scope` with a namespace: its own, or that of `key`.
  absl::StatusOr<Scope> Resolve(const Scope& scope, const std::string& key) const;
  // Where a child of `parent` ("" for none) is made.
  absl::StatusOr<Scope> ResolveChild(const Scope& scope, const std::string& parent) const;

  Snapshotter& inner_;
  const metadata::Store& store_;
};

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_SHARED_SNAPSHOTTER_H_
