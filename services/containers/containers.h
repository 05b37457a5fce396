#ifndef GANTRY_SERVICES_CONTAINERS_CONTAINERS_H_
#define GANTRY_SERVICES_CONTAINERS_CONTAINERS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/any.h"
#include "base/identifiers.h"
#include "services/gc/gc.h"
#include "services/metadata/store.h"

namespace gantry::containers {

// The record of a container: what a task is made from. Nothing runs by it.
struct Container {
  std::string id;
  Labels labels;
  std::string image;
  std::string runtime_name;  // "io.containerd.runc.v2"; never changes
  Any runtime_options;
  Any spec;  // JSON of the OCI runtime-spec
  std::string snapshotter;
  std::string snapshot_key;
  absl::Time created_at;
  absl::Time updated_at;
  std::map<std::string, Any> extensions;
  std::string sandbox;
};

// Containers by namespace and id. Thread-safe; durable when a call returns. Each is a root of
// collections and holds its snapshot.
class Containers : public gc::Collectible {
 public:
  explicit Containers(metadata::Store& store) : store_(store) {}

  absl::StatusOr<Container> Get(const std::string& ns, const std::string& id) const;
  // Fields for filters: id, labels, image, runtime.name, snapshotter, snapshotkey.
  absl::StatusOr<std::vector<Container>> List(const std::string& ns,
                                              const std::vector<std::string>& filters) const;
  // Errors: InvalidArgument naming the field; AlreadyExists.
  absl::StatusOr<Container> Create(const std::string& ns, const Container& wanted);
  // `paths`: labels, labels.KEY, spec, image, extensions, extensions.KEY, snapshotkey, and with it
  // snapshotter; none for all that may change, and then the runtime's name and the snapshotter must
  // be as they are. Errors: NotFound; InvalidArgument for a field that never changes or an unknown
  // path.
  absl::StatusOr<Container> Update(const std::string& ns, const Container& wanted,
                                   const std::vector<std::string>& paths);
  absl::Status Delete(const std::string& ns, const std::string& id);

  [[nodiscard]] std::string bucket() const override { return gc::kContainerBucket; }
  [[nodiscard]] absl::StatusOr<gc::Links> LinksOf(const metadata::Reader& reader,
                                                  const gc::Node& node, absl::string_view bytes,
                                                  absl::Time now) const override;

 private:
  metadata::Store& store_;
};

}  // namespace gantry::containers

#endif  // GANTRY_SERVICES_CONTAINERS_CONTAINERS_H_
