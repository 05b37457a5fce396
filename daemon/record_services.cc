#include "daemon/record_services.h"

namespace gantry::daemon {

namespace pb = containerd::services;

RecordServices::RecordServices(const Shared& shared)
    : namespaces_(shared.store),
      containers_(shared.store),
      images_(shared.store),
      leases_(shared.store),
      namespaces_service_(namespaces_, shared.disk, shared.publisher),
      containers_service_(containers_, shared.disk, shared.publisher),
      images_service_(images_, shared.disk, shared.publisher, shared.collector),
      leases_service_(leases_, shared.disk, shared.collector) {}

void RecordServices::Name(const ServiceSet& served, GrpcListener::NamedServices* named) {
  if (served.Has(Service::kNamespaces)) {
    named->emplace_back(pb::namespaces::v1::Namespaces::service_full_name(), &namespaces_service_);
  }
  if (served.Has(Service::kContainers)) {
    named->emplace_back(pb::containers::v1::Containers::service_full_name(), &containers_service_);
  }
  if (served.Has(Service::kImages)) {
    named->emplace_back(pb::images::v1::Images::service_full_name(), &images_service_);
  }
  if (served.Has(Service::kLeases)) {
    named->emplace_back(pb::leases::v1::Leases::service_full_name(), &leases_service_);
  }
}

}  // namespace gantry::daemon
