#ifndef GANTRY_SERVICES_LEASES_LEASES_H_
#define GANTRY_SERVICES_LEASES_LEASES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/identifiers.h"
#include "services/gc/gc.h"
#include "services/metadata/lease_resources.h"
#include "services/metadata/store.h"

namespace gantry::leases {

struct Lease {
  std::string id;
  absl::Time created_at;
  Labels labels;  // containerd.io/gc.expire (RFC 3339) ends it, containerd.io/gc.flat bounds it
};

// Leases by namespace and id, and what they hold. Thread-safe. Resources are durable when a call
// returns; a lease that is made or deleted is so with the next record that is written. Each is a
// root of collections until it expires, and is removed by the first one after that.
class Leases : public gc::Collectible {
 public:
  explicit Leases(metadata::Store& store) : store_(store) {}

  // An empty id gets a random one. Errors: InvalidArgument, AlreadyExists.
  absl::StatusOr<Lease> Create(const std::string& ns, const Lease& wanted);
  // Errors: NotFound.
  absl::Status Delete(const std::string& ns, const std::string& id);
  // Fields for filters: id, labels.
  absl::StatusOr<std::vector<Lease>> List(const std::string& ns,
                                          const std::vector<std::string>& filters) const;
  // Types of resources: content, ingests, images, snapshots/NAME.
  // Errors: NotFound for the lease; Unimplemented for a type, InvalidArgument for an id that cannot
  // be.
  absl::Status AddResource(const std::string& ns, const std::string& id,
                           const metadata::LeaseResource& resource);
  absl::Status DeleteResource(const std::string& ns, const std::string& id,
                              const metadata::LeaseResource& resource);
  absl::StatusOr<std::vector<metadata::LeaseResource>> ListResources(const std::string& ns,
                                                                     const std::string& id) const;

  [[nodiscard]] std::string bucket() const override { return gc::kLeaseBucket; }
  [[nodiscard]] std::optional<gc::Node> Affected(
      const metadata::RecordName& written) const override;
  [[nodiscard]] absl::StatusOr<gc::Links> LinksOf(const metadata::Reader& reader,
                                                  const gc::Node& node, absl::string_view bytes,
                                                  absl::Time now) const override;
  absl::StatusOr<bool> Remove(metadata::Writer& writer, const gc::Node& node) override;

 private:
  metadata::Store& store_;
};

}  // namespace gantry::leases

#endif  // GANTRY_SERVICES_LEASES_LEASES_H_
