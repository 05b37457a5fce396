#include "base/start_trace.h"

#include <fcntl.h>
#include <time.h>

#include <cstdlib>
#include <mutex>
#include <string>

#include "base/file.h"
#include "base/log.h"

namespace gantry {
namespace start_trace_internal {

bool on = false;

namespace {

struct Trace {
  std::mutex mutex;
  std::string path;
  std::string who;
  std::string lines;
};

// Never destroyed: threads may mark until the process ends.
Trace& TheTrace() {
  static Trace* const trace = new Trace;
  return *trace;
}

}  // namespace

void Mark(int64_t nanos, absl::string_view who, absl::string_view id, absl::string_view step) {
  Trace& trace = TheTrace();
  const std::lock_guard lock(trace.mutex);
  absl::StrAppend(&trace.lines, nanos, "\t", who.empty() ? trace.who : who, "\t", id, "\t", step,
                  "\n");
}

}  // namespace start_trace_internal

void StartTraceFromEnvironment(absl::string_view who) {
  const char* const path = std::getenv(kStartTraceVariable);
  if (path == nullptr || *path == '\0') return;
  start_trace_internal::Trace& trace = start_trace_internal::TheTrace();
  trace.path = path;
  trace.who = std::string(who);
  start_trace_internal::on = true;
}

int64_t StartTraceNow() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void FlushStartTrace() {
  if (!StartTraceIsOn()) return;
  start_trace_internal::Trace& trace = start_trace_internal::TheTrace();
  const std::lock_guard lock(trace.mutex);
  if (trace.lines.empty()) return;
  // One write: several processes append to this file.
  absl::StatusOr<UniqueFd> file = OpenFile(trace.path, O_WRONLY | O_CREAT | O_APPEND, 0600);
  const absl::Status status =
      file.ok() ? WriteAll(file->get(), trace.lines, trace.path) : file.status();
  if (!status.ok()) LogWarn(status.message());
  trace.lines.clear();
}

}  // namespace gantry
