#ifndef GANTRY_SERVICES_SNAPSHOTS_INFO_FILTER_H_
#define GANTRY_SERVICES_SNAPSHOTS_INFO_FILTER_H_

#include "services/metadata/filter.h"
#include "services/snapshots/snapshots.h"

namespace gantry::snapshots {

// The fields of a snapshot that filters may name: name, parent, kind (view, active, committed),
// labels. `info` outlives what is returned.
metadata::Adaptor AdaptorOf(const Info& info);

}  // namespace gantry::snapshots

#endif  // GANTRY_SERVICES_SNAPSHOTS_INFO_FILTER_H_
