#ifndef GANTRY_BASE_FAULT_POINT_H_
#define GANTRY_BASE_FAULT_POINT_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace gantry {

// The one seam for faults that cannot be provoked from outside: a crash or an error between two
// durable steps. Off (one relaxed load) unless a fault is armed.
//
// GANTRY_FAULT="name=crash" or "name=ENOSPC", with "name@3=..." for the third time it is passed,
// arms one in a process at its start (ArmFaultFromEnvironment); tests of domain code call ArmFault
// directly. GANTRY_FAULT_LOG=PATH has each name that is passed written to that file, a line each.
absl::Status FaultPoint(absl::string_view name);

// `action` is "crash" (SIGKILL to this process) or the name of an errno such as "ENOSPC" or "EIO".
// Errors: InvalidArgument for an unknown action.
absl::Status ArmFault(absl::string_view name, absl::string_view action, int nth = 1);
void DisarmFaults();
// Has `observer` called with the name of each fault point, by the thread that is about to pass it,
// until it is null or DisarmFaults is called: so a test does between two steps what hardly ever
// happens there.
void ObserveFaultPoints(std::function<void(absl::string_view name)> observer);
absl::Status ArmFaultFromEnvironment();

// The names passed since the last DisarmFaults while recording was on, in order: what a fault walk
// goes through.
void RecordFaultPoints(bool on);
std::vector<std::string> RecordedFaultPoints();

}  // namespace gantry

#endif  // GANTRY_BASE_FAULT_POINT_H_
