#ifndef GANTRY_DAEMON_RECORD_SERVICES_H_
#define GANTRY_DAEMON_RECORD_SERVICES_H_

#include "daemon/grpc_listener.h"
#include "daemon/parts.h"
#include "services/containers/containers_service.h"
#include "services/images/images_service.h"
#include "services/leases/leases_service.h"
#include "services/namespaces/namespaces_service.h"

namespace gantry::daemon {

// The services that are records in the store and nothing else. All are made, since they cost
// nothing; those that the configuration names are served.
class RecordServices {
 public:
  explicit RecordServices(const Shared& shared);

  void Name(const ServiceSet& served, GrpcListener::NamedServices* named);
  [[nodiscard]] const containers::Containers& containers() const { return containers_; }
  [[nodiscard]] std::vector<gc::Collectible*> collectibles() {
    return {&containers_, &images_, &leases_};
  }

 private:
  namespaces::Namespaces namespaces_;
  containers::Containers containers_;
  images::Images images_;
  leases::Leases leases_;
  namespaces::NamespacesService namespaces_service_;
  containers::ContainersService containers_service_;
  images::ImagesService images_service_;
  leases::LeasesService leases_service_;
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_RECORD_SERVICES_H_
