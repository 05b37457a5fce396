#ifndef GANTRY_BASE_START_TRACE_H_
#define GANTRY_BASE_START_TRACE_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace gantry {

// Writes down when each step of a container's start and end was reached, for bench/budget. Off, a
// mark is one test of a bool. On (`gantryd --trace-start FILE`), marks gather in memory and go to
// FILE when FlushStartTrace is called: one line each, "NANOSECONDS TAB WHO TAB ID TAB STEP", the
// time by CLOCK_MONOTONIC, which all processes of the machine share. Thread-safe.

// Names FILE to this process and to those that it starts. Once, before there are threads.
inline constexpr char kStartTraceVariable[] = "GANTRY_TRACE_START";

namespace start_trace_internal {
extern bool on;
void Mark(int64_t nanos, absl::string_view who, absl::string_view id, absl::string_view step);
}  // namespace start_trace_internal

// Switches the trace on if the environment has the variable. `who` is in each mark.
void StartTraceFromEnvironment(absl::string_view who);

inline bool StartTraceIsOn() { return start_trace_internal::on; }
// CLOCK_MONOTONIC. Async-signal-safe.
int64_t StartTraceNow();

// The step that has just been done, of container `id`.
inline void TraceStart(absl::string_view id, absl::string_view step) {
  if (StartTraceIsOn()) start_trace_internal::Mark(StartTraceNow(), "", id, step);
}
// A step of another process, which has told when.
inline void TraceStartAt(int64_t nanos, absl::string_view who, absl::string_view id,
                         absl::string_view step) {
  if (StartTraceIsOn()) start_trace_internal::Mark(nanos, who, id, step);
}
// Off the path of what is measured.
void FlushStartTrace();

}  // namespace gantry

#endif  // GANTRY_BASE_START_TRACE_H_
