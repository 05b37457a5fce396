#ifndef GANTRY_RUNTIME_SPEC_SCHEDULING_H_
#define GANTRY_RUNTIME_SPEC_SCHEDULING_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/json.h"
#include "runtime/spec/spec.h"

namespace gantry::runtime {

// The parts of config.json that say where and when a process runs, and on which memory. Errors:
// InvalidArgument with the field and its value.
absl::StatusOr<Scheduler> SchedulerFromJson(const Json& json, absl::string_view path);
absl::StatusOr<int> IoPriorityFromJson(const Json& json, absl::string_view path);
absl::StatusOr<CpuAffinity> CpuAffinityFromJson(const Json& json, absl::string_view path);
absl::StatusOr<MemoryPolicy> MemoryPolicyFromJson(const Json& json, absl::string_view path);
absl::StatusOr<unsigned long> PersonalityFromJson(const Json& json, absl::string_view path);

// "0-3,7" -> bits 0, 1, 2, 3 and 7. Source: cpuset(7), "List format".
absl::StatusOr<BitSet> ParseBitList(absl::string_view text);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SPEC_SCHEDULING_H_
