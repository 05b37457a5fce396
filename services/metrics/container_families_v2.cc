#include "absl/strings/str_cat.h"
#include "services/metrics/container_families.h"

// The counters of cgroup v2. Times are microseconds.

namespace gantry::metrics {
namespace {

using prometheus::MetricType;
using Family = ContainerFamily<runtime::StatsV2>;
using Memory = runtime::MemoryStatsV2;

// Files and lines of memory.stat. All of them are "bytes" to containerd, those that count pages and
// faults too.
struct MemoryField {
  const char* name;
  uint64_t Memory::*field;
};
constexpr MemoryField kMemoryFields[] = {
    {"usage", &Memory::usage},
    {"usage_limit", &Memory::usage_limit},
    {"swap_usage", &Memory::swap_usage},
    {"swap_limit", &Memory::swap_limit},
    {"file_mapped", &Memory::file_mapped},
    {"file_dirty", &Memory::file_dirty},
    {"file_writeback", &Memory::file_writeback},
    {"pgactivate", &Memory::pgactivate},
    {"pgdeactivate", &Memory::pgdeactivate},
    {"pgfault", &Memory::pgfault},
    {"pgmajfault", &Memory::pgmajfault},
    {"pglazyfree", &Memory::pglazyfree},
    {"pgrefill", &Memory::pgrefill},
    {"pglazyfreed", &Memory::pglazyfreed},
    {"pgscan", &Memory::pgscan},
    {"pgsteal", &Memory::pgsteal},
    {"inactive_anon", &Memory::inactive_anon},
    {"active_anon", &Memory::active_anon},
    {"inactive_file", &Memory::inactive_file},
    {"active_file", &Memory::active_file},
    {"unevictable", &Memory::unevictable},
    {"anon", &Memory::anon},
    {"file", &Memory::file},
    {"kernel_stack", &Memory::kernel_stack},
    {"slab", &Memory::slab},
    {"sock", &Memory::sock},
    {"shmem", &Memory::shmem},
    {"anon_thp", &Memory::anon_thp},
    {"slab_reclaimable", &Memory::slab_reclaimable},
    {"slab_unreclaimable", &Memory::slab_unreclaimable},
    {"workingset_refault", &Memory::workingset_refault},
    {"workingset_activate", &Memory::workingset_activate},
    {"workingset_nodereclaim", &Memory::workingset_nodereclaim},
    {"thp_fault_alloc", &Memory::thp_fault_alloc},
    {"thp_collapse_alloc", &Memory::thp_collapse_alloc},
};

void AddPids(std::vector<Family>* families) {
  families->push_back({"container_pids_limit", "Most processes and threads allowed",
                       MetricType::Gauge, [](const runtime::StatsV2& stats, const AddSample& add) {
                         if (stats.pids) add(static_cast<double>(stats.pids->limit), {});
                       }});
  families->push_back({"container_pids_current", "Processes and threads", MetricType::Gauge,
                       [](const runtime::StatsV2& stats, const AddSample& add) {
                         if (stats.pids) add(static_cast<double>(stats.pids->current), {});
                       }});
}

void AddCpu(std::vector<Family>* families) {
  const auto add_line = [&](const char* name, const char* help,
                            uint64_t runtime::CpuStatsV2::*field) {
    families->push_back({name, help, MetricType::Gauge,
                         [field](const runtime::StatsV2& stats, const AddSample& add) {
                           if (stats.cpu) add(static_cast<double>((*stats.cpu).*field), {});
                         }});
  };
  using Cpu = runtime::CpuStatsV2;
  add_line("container_cpu_usage_usec_microseconds", "CPU time", &Cpu::usage_usec);
  add_line("container_cpu_user_usec_microseconds", "CPU time in user space", &Cpu::user_usec);
  add_line("container_cpu_system_usec_microseconds", "CPU time in the kernel", &Cpu::system_usec);
  add_line("container_cpu_nr_periods_total", "Periods in which the CPU quota was looked at",
           &Cpu::nr_periods);
  add_line("container_cpu_nr_throttled_total", "Periods in which the CPU quota was used up",
           &Cpu::nr_throttled);
  add_line("container_cpu_throttled_usec_microseconds",
           "Time without a CPU because the quota was used up", &Cpu::throttled_usec);
}

void AddMemory(std::vector<Family>* families) {
  for (const MemoryField& field : kMemoryFields) {
    families->push_back({absl::StrCat("container_memory_", field.name, "_bytes"),
                         absl::StrCat(field.name, " of the memory controller"), MetricType::Gauge,
                         [at = field.field](const runtime::StatsV2& stats, const AddSample& add) {
                           if (stats.memory) add(static_cast<double>((*stats.memory).*at), {});
                         }});
  }
  families->push_back({"container_memory_oom_total",
                       "Times that the memory limit could not be held", MetricType::Gauge,
                       [](const runtime::StatsV2& stats, const AddSample& add) {
                         if (!stats.memory_events) return;
                         add(static_cast<double>(stats.memory_events->oom), {});
                       }});
}

void AddIo(std::vector<Family>* families) {
  const auto add_column = [&](const char* name, const char* help,
                              uint64_t runtime::IoEntryV2::*field) {
    families->push_back(
        {name, help, MetricType::Gauge,
         [field](const runtime::StatsV2& stats, const AddSample& add) {
           if (!stats.io) return;
           for (const runtime::IoEntryV2& entry : stats.io->usage) {
             add(static_cast<double>(entry.*field),
                 {{"major", absl::StrCat(entry.major)}, {"minor", absl::StrCat(entry.minor)}});
           }
         }});
  };
  using Io = runtime::IoEntryV2;
  add_column("container_io_rbytes_bytes", "Bytes read", &Io::rbytes);
  add_column("container_io_wbytes_bytes", "Bytes written", &Io::wbytes);
  add_column("container_io_rios_total", "Reads", &Io::rios);
  add_column("container_io_wios_total", "Writes", &Io::wios);
}

}  // namespace

const std::vector<Family>& FamiliesV2() {
  static const std::vector<Family>* const families = [] {
    auto* made = new std::vector<Family>;
    AddPids(made);
    AddCpu(made);
    AddMemory(made);
    AddIo(made);
    return made;
  }();
  return *families;
}

}  // namespace gantry::metrics
