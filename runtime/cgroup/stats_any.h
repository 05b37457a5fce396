#ifndef GANTRY_RUNTIME_CGROUP_STATS_ANY_H_
#define GANTRY_RUNTIME_CGROUP_STATS_ANY_H_

#include "base/any.h"
#include "runtime/cgroup/stats.h"

namespace gantry::runtime {

// io.containerd.cgroups.v1.Metrics or .v2.Metrics, as `stats` is of the one or the other. Written
// by hand (base/wire.h), since the shim and the daemon compile the contract differently. Source:
// github.com/containerd/cgroups, cgroup1 and cgroup2 stats/metrics.proto.
Any StatsToAny(const CgroupStats& stats);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_STATS_ANY_H_
