#ifndef GANTRY_SHIM_STATS_ANY_H_
#define GANTRY_SHIM_STATS_ANY_H_

#include "base/any.h"
#include "runtime/cgroup/stats.h"

namespace gantry::shim {

// io.containerd.cgroups.v1.Metrics or .v2.Metrics, as `stats` is of the one or the other.
Any StatsToAny(const runtime::CgroupStats& stats);

}  // namespace gantry::shim

#endif  // GANTRY_SHIM_STATS_ANY_H_
