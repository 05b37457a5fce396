#include "absl/strings/str_cat.h"
#include "services/metrics/container_families.h"

// The counters of cgroup v1. Times are nanoseconds.

namespace gantry::metrics {
namespace {

using prometheus::MetricType;
using Family = ContainerFamily<runtime::StatsV1>;
using Memory = runtime::MemoryStatsV1;

// Lines of memory.stat by the kernel's names. All of them are "bytes" to containerd, those that
// count pages and faults too.
struct MemoryField {
  const char* name;
  uint64_t Memory::*field;
};
constexpr MemoryField kMemoryFields[] = {
    {"cache", &Memory::cache},
    {"rss", &Memory::rss},
    {"rss_huge", &Memory::rss_huge},
    {"mapped_file", &Memory::mapped_file},
    {"dirty", &Memory::dirty},
    {"writeback", &Memory::writeback},
    {"pgpgin", &Memory::pg_pg_in},
    {"pgpgout", &Memory::pg_pg_out},
    {"pgfault", &Memory::pg_fault},
    {"pgmajfault", &Memory::pg_maj_fault},
    {"inactive_anon", &Memory::inactive_anon},
    {"active_anon", &Memory::active_anon},
    {"inactive_file", &Memory::inactive_file},
    {"active_file", &Memory::active_file},
    {"unevictable", &Memory::unevictable},
    {"hierarchical_memory_limit", &Memory::hierarchical_memory_limit},
    {"hierarchical_memsw_limit", &Memory::hierarchical_swap_limit},
    {"total_cache", &Memory::total_cache},
    {"total_rss", &Memory::total_rss},
    {"total_rss_huge", &Memory::total_rss_huge},
    {"total_mapped_file", &Memory::total_mapped_file},
    {"total_dirty", &Memory::total_dirty},
    {"total_writeback", &Memory::total_writeback},
    {"total_pgpgin", &Memory::total_pg_pg_in},
    {"total_pgpgout", &Memory::total_pg_pg_out},
    {"total_pgfault", &Memory::total_pg_fault},
    {"total_pgmajfault", &Memory::total_pg_maj_fault},
    {"total_inactive_anon", &Memory::total_inactive_anon},
    {"total_active_anon", &Memory::total_active_anon},
    {"total_inactive_file", &Memory::total_inactive_file},
    {"total_active_file", &Memory::total_active_file},
    {"total_unevictable", &Memory::total_unevictable},
};

Family CpuFamily(std::string name, std::string help, uint64_t runtime::CpuStatsV1::*field) {
  return {std::move(name), std::move(help), MetricType::Gauge,
          [field](const runtime::StatsV1& stats, const AddSample& add) {
            if (stats.cpu) add(static_cast<double>((*stats.cpu).*field), {});
          }};
}

void AddCpu(std::vector<Family>* families) {
  using Cpu = runtime::CpuStatsV1;
  families->push_back(CpuFamily("container_cpu_total_nanoseconds", "CPU time", &Cpu::total));
  families->push_back(
      CpuFamily("container_cpu_kernel_nanoseconds", "CPU time in the kernel", &Cpu::kernel));
  families->push_back(
      CpuFamily("container_cpu_user_nanoseconds", "CPU time in user space", &Cpu::user));
  families->push_back(
      {"container_per_cpu_nanoseconds", "CPU time by CPU", MetricType::Gauge,
       [](const runtime::StatsV1& stats, const AddSample& add) {
         if (!stats.cpu) return;
         for (size_t cpu = 0; cpu < stats.cpu->per_cpu.size(); ++cpu) {
           add(static_cast<double>(stats.cpu->per_cpu[cpu]), {{"cpu", absl::StrCat(cpu)}});
         }
       }});
  families->push_back(CpuFamily("container_cpu_throttle_periods_total",
                                "Periods in which the CPU quota was looked at", &Cpu::periods));
  families->push_back(CpuFamily("container_cpu_throttled_periods_total",
                                "Periods in which the CPU quota was used up",
                                &Cpu::throttled_periods));
  families->push_back(CpuFamily("container_cpu_throttled_time_nanoseconds",
                                "Time without a CPU because the quota was used up",
                                &Cpu::throttled_time));
}

void AddPids(std::vector<Family>* families) {
  families->push_back({"container_pids_limit",
                       "Most processes and threads allowed, 0 without limit", MetricType::Gauge,
                       [](const runtime::StatsV1& stats, const AddSample& add) {
                         if (stats.pids) add(static_cast<double>(stats.pids->limit), {});
                       }});
  families->push_back({"container_pids_current", "Processes and threads", MetricType::Gauge,
                       [](const runtime::StatsV1& stats, const AddSample& add) {
                         if (stats.pids) add(static_cast<double>(stats.pids->current), {});
                       }});
}

using MemoryEntry = std::optional<runtime::MemoryEntryV1>;

// The four files of one kind of memory.
void AddMemoryEntry(const std::string& kind, const std::string& help,
                    MemoryEntry (*entry)(const Memory&), std::vector<Family>* families) {
  const auto add_file = [&](const char* suffix, const char* what,
                            uint64_t runtime::MemoryEntryV1::*field) {
    families->push_back({absl::StrCat("container_memory_", kind, "_", suffix),
                         absl::StrCat(what, " ", help), MetricType::Gauge,
                         [entry, field](const runtime::StatsV1& stats, const AddSample& add) {
                           if (!stats.memory) return;
                           const MemoryEntry read = entry(*stats.memory);
                           if (read) add(static_cast<double>((*read).*field), {});
                         }});
  };
  using Entry = runtime::MemoryEntryV1;
  add_file("failcnt_total", "How often the limit was reached of", &Entry::failcnt);
  add_file("limit_bytes", "Limit of", &Entry::limit);
  add_file("max_bytes", "Highest use ever of", &Entry::max);
  add_file("usage_bytes", "Use of", &Entry::usage);
}

void AddMemory(std::vector<Family>* families) {
  for (const MemoryField& field : kMemoryFields) {
    families->push_back({absl::StrCat("container_memory_", field.name, "_bytes"),
                         absl::StrCat(field.name, " in memory.stat"), MetricType::Gauge,
                         [at = field.field](const runtime::StatsV1& stats, const AddSample& add) {
                           if (stats.memory) add(static_cast<double>((*stats.memory).*at), {});
                         }});
  }
  AddMemoryEntry(
      "usage", "memory", [](const Memory& memory) { return MemoryEntry(memory.usage); }, families);
  AddMemoryEntry(
      "swap", "memory and swap together", [](const Memory& memory) { return memory.swap; },
      families);
  AddMemoryEntry(
      "kernel", "kernel memory", [](const Memory& memory) { return memory.kernel; }, families);
  AddMemoryEntry(
      "kerneltcp", "memory of TCP buffers", [](const Memory& memory) { return memory.kernel_tcp; },
      families);
  families->push_back({"container_memory_oom_total", "Processes that the OOM killer ended",
                       MetricType::Counter,
                       [](const runtime::StatsV1& stats, const AddSample& add) {
                         if (!stats.memory_oom_control) return;
                         add(static_cast<double>(stats.memory_oom_control->oom_kill), {});
                       }});
}

void AddHugetlb(std::vector<Family>* families) {
  const auto add_file = [&](const char* name, const char* help,
                            uint64_t runtime::HugetlbStats::*field) {
    families->push_back({name, help, MetricType::Gauge,
                         [field](const runtime::StatsV1& stats, const AddSample& add) {
                           for (const runtime::HugetlbStats& size : stats.hugetlb) {
                             add(static_cast<double>(size.*field), {{"page", size.page_size}});
                           }
                         }});
  };
  using Hugetlb = runtime::HugetlbStats;
  add_file("container_hugetlb_usage_bytes", "Huge pages in use", &Hugetlb::usage);
  add_file("container_hugetlb_failcnt_total", "How often the limit of huge pages was reached",
           &Hugetlb::failcnt);
  add_file("container_hugetlb_max_bytes", "Most huge pages ever in use", &Hugetlb::max);
}

void AddBlkio(std::vector<Family>* families) {
  const auto add_file = [&](const char* name, const char* help,
                            std::vector<runtime::BlkioEntryV1> runtime::BlkioStatsV1::*field) {
    families->push_back({name, help, MetricType::Gauge,
                         [field](const runtime::StatsV1& stats, const AddSample& add) {
                           if (!stats.blkio) return;
                           for (const runtime::BlkioEntryV1& entry : (*stats.blkio).*field) {
                             add(static_cast<double>(entry.value),
                                 {{"op", entry.op},
                                  {"device", entry.device},
                                  {"major", absl::StrCat(entry.major)},
                                  {"minor", absl::StrCat(entry.minor)}});
                           }
                         }});
  };
  using Blkio = runtime::BlkioStatsV1;
  add_file("container_blkio_io_merged_recursive_total", "Requests merged with others",
           &Blkio::io_merged_recursive);
  add_file("container_blkio_io_queued_recursive_total", "Requests waiting",
           &Blkio::io_queued_recursive);
  add_file("container_blkio_io_service_bytes_recursive_bytes", "Bytes moved",
           &Blkio::io_service_bytes_recursive);
  add_file("container_blkio_io_service_time_recursive_total", "Nanoseconds in the device",
           &Blkio::io_service_time_recursive);
  add_file("container_blkio_io_serviced_recursive_total", "Requests served",
           &Blkio::io_serviced_recursive);
  add_file("container_blkio_io_time_recursive_total", "Milliseconds that the device was busy",
           &Blkio::io_time_recursive);
  add_file("container_blkio_sectors_recursive_total", "Sectors moved", &Blkio::sectors_recursive);
}

}  // namespace

const std::vector<Family>& FamiliesV1() {
  static const std::vector<Family>* const families = [] {
    auto* made = new std::vector<Family>;
    AddPids(made);
    AddCpu(made);
    AddMemory(made);
    AddHugetlb(made);
    AddBlkio(made);
    return made;
  }();
  return *families;
}

}  // namespace gantry::metrics
