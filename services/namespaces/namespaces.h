#ifndef GANTRY_SERVICES_NAMESPACES_NAMESPACES_H_
#define GANTRY_SERVICES_NAMESPACES_NAMESPACES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/identifiers.h"
#include "services/metadata/store.h"

namespace gantry::namespaces {

struct Namespace {
  std::string name;
  Labels labels;
};

// The tenants of the daemon. Thread-safe.
class Namespaces {
 public:
  explicit Namespaces(metadata::Store& store) : store_(store) {}

  // One that was never made is answered without labels, as containerd does: dockerd asks for its own
  // before anything is in it, and takes NotFound for a failure. Errors: InvalidArgument.
  absl::StatusOr<Namespace> Get(const std::string& name) const;
  // Ordered by name. `filter` of containerd's grammar over name and labels; "" for all.
  absl::StatusOr<std::vector<Namespace>> List(const std::string& filter) const;
  // Errors: InvalidArgument for a name that is no identifier; AlreadyExists.
  absl::StatusOr<Namespace> Create(const Namespace& wanted);
  // Sets labels by `paths` ("labels", "labels.KEY", none for all); makes the namespace if it is
  // missing.
  absl::StatusOr<Namespace> Update(const Namespace& wanted, const std::vector<std::string>& paths);
  // Its leases go with it. Errors: NotFound; FailedPrecondition that names what it still holds.
  absl::Status Delete(const std::string& name);

 private:
  metadata::Store& store_;
};

}  // namespace gantry::namespaces

#endif  // GANTRY_SERVICES_NAMESPACES_NAMESPACES_H_
