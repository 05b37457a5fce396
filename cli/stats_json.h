#ifndef GANTRY_CLI_STATS_JSON_H_
#define GANTRY_CLI_STATS_JSON_H_

#include "base/json.h"
#include "runtime/cgroup/stats.h"

namespace gantry::cli {

// The "data" of a statistics event, in runc's shape: one for both cgroup versions, times in
// nanoseconds. Source: runc, types/events.go.
Json StatsJson(const runtime::CgroupStats& stats);

}  // namespace gantry::cli

#endif  // GANTRY_CLI_STATS_JSON_H_
