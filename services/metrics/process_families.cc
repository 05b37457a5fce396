#include "services/metrics/process_families.h"

#include <sys/resource.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/path.h"

namespace gantry::metrics {
namespace {

constexpr size_t kMostBytes = 1 << 20;

void WriteOne(const FamilySink& sink, const char* name, const char* help,
              prometheus::MetricType type, double value) {
  FamilyBuilder family(name, help, type);
  family.Add(value);
  std::move(family).WriteTo(sink);
}

// Since 1970. Errors: DataLoss.
absl::StatusOr<uint64_t> BootSeconds() {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, ReadFile("/proc/stat", kMostBytes));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    uint64_t seconds = 0;
    if (absl::ConsumePrefix(&line, "btime ") && absl::SimpleAtoi(line, &seconds)) return seconds;
  }
  return absl::DataLossError("/proc/stat has no btime");
}

void WriteStat(const ProcessStat& stat, const FamilySink& sink) {
  using prometheus::MetricType;
  const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  WriteOne(sink, "process_cpu_seconds_total", "CPU time in user space and in the kernel",
           MetricType::Counter, static_cast<double>(stat.cpu_ticks) / ticks);
  WriteOne(sink, "process_threads", "Threads", MetricType::Gauge,
           static_cast<double>(stat.threads));
  WriteOne(sink, "process_virtual_memory_bytes", "Address space", MetricType::Gauge,
           static_cast<double>(stat.virtual_bytes));
  WriteOne(sink, "process_resident_memory_bytes", "Resident memory", MetricType::Gauge,
           static_cast<double>(stat.resident_pages) * static_cast<double>(::getpagesize()));
  if (const absl::StatusOr<uint64_t> boot = BootSeconds(); boot.ok()) {
    WriteOne(sink, "process_start_time_seconds", "When the process began, in seconds since 1970",
             MetricType::Gauge,
             static_cast<double>(*boot) + static_cast<double>(stat.start_ticks) / ticks);
  }
}

void WriteLimit(const FamilySink& sink, int resource, const char* name, const char* help) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return;
  WriteOne(sink, name, help, prometheus::MetricType::Gauge, static_cast<double>(limit.rlim_cur));
}

}  // namespace

absl::StatusOr<ProcessStat> ParseProcessStat(absl::string_view text) {
  // The second field is the program's name in parentheses, and may hold any of both.
  const size_t name_end = text.rfind(')');
  std::vector<absl::string_view> fields;
  if (name_end != absl::string_view::npos) {
    fields = absl::StrSplit(text.substr(name_end + 1), ' ', absl::SkipEmpty());
  }
  // By proc(5)'s numbers, which begin at 1; the name is number 2.
  const auto number = [&fields](size_t field, uint64_t* value) {
    const size_t index = field - 3;
    return index < fields.size() && absl::SimpleAtoi(fields[index], value);
  };
  ProcessStat stat;
  uint64_t user = 0;
  uint64_t system = 0;
  if (!number(14, &user) || !number(15, &system) || !number(20, &stat.threads) ||
      !number(22, &stat.start_ticks) || !number(23, &stat.virtual_bytes) ||
      !number(24, &stat.resident_pages)) {
    return absl::DataLossError("/proc/PID/stat is not as proc(5) has it");
  }
  stat.cpu_ticks = user + system;
  return stat;
}

void WriteProcessFamilies(const FamilySink& sink) {
  if (const absl::StatusOr<std::string> text = ReadFile("/proc/self/stat", kMostBytes); text.ok()) {
    if (const absl::StatusOr<ProcessStat> stat = ParseProcessStat(*text); stat.ok()) {
      WriteStat(*stat, sink);
    }
  }
  if (const auto fds = ListDirectory("/proc/self/fd"); fds.ok()) {
    WriteOne(sink, "process_open_fds", "Open file descriptors", prometheus::MetricType::Gauge,
             static_cast<double>(fds->size()));
  }
  WriteLimit(sink, RLIMIT_NOFILE, "process_max_fds", "Most file descriptors that may be open");
  WriteLimit(sink, RLIMIT_AS, "process_virtual_memory_max_bytes", "Most address space allowed");
}

}  // namespace gantry::metrics
