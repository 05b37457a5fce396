#ifndef GANTRY_SERVICES_GC_REMOVAL_PUBLISHER_H_
#define GANTRY_SERVICES_GC_REMOVAL_PUBLISHER_H_

#include <vector>

#include "services/gc/gc.h"
#include "services/rpc/event_publisher.h"

namespace gantry::gc {

// Announces what a collection has removed: images and snapshots; the other kinds have no event of
// theirs, as in containerd 2.
void PublishRemovals(const std::vector<Node>& removed, rpc::EventPublisher& events);

}  // namespace gantry::gc

#endif  // GANTRY_SERVICES_GC_REMOVAL_PUBLISHER_H_
