#ifndef GANTRY_RUNTIME_CGROUP_STATS_H_
#define GANTRY_RUNTIME_CGROUP_STATS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gantry::runtime {

// What the kernel counts for one container, in the terms of the cgroup version it was read from
// (io.containerd.cgroups.v1.Metrics and .v2.Metrics have the same fields). A controller that is not
// there is an absent part. Times of v1 in nanoseconds, of v2 in microseconds; the rest in bytes.
// Unlimited is UINT64_MAX (0 for the pids of v1, as containerd reports it).

struct PidsStats {
  uint64_t current = 0;
  uint64_t limit = 0;
};

struct HugetlbStats {
  std::string page_size;
  uint64_t usage = 0;
  uint64_t max = 0;
  uint64_t failcnt = 0;
};

struct RdmaEntry {
  std::string device;
  uint32_t hca_handles = 0;
  uint32_t hca_objects = 0;
};

struct RdmaStats {
  std::vector<RdmaEntry> current;
  std::vector<RdmaEntry> limit;
};

struct CpuStatsV1 {
  uint64_t total = 0;
  uint64_t kernel = 0;
  uint64_t user = 0;
  std::vector<uint64_t> per_cpu;
  uint64_t periods = 0;
  uint64_t throttled_periods = 0;
  uint64_t throttled_time = 0;
};

struct MemoryEntryV1 {
  uint64_t limit = 0;
  uint64_t usage = 0;
  uint64_t max = 0;
  uint64_t failcnt = 0;
};

struct MemoryStatsV1 {
  uint64_t cache = 0, rss = 0, rss_huge = 0, mapped_file = 0, dirty = 0, writeback = 0;
  uint64_t pg_pg_in = 0, pg_pg_out = 0, pg_fault = 0, pg_maj_fault = 0;
  uint64_t inactive_anon = 0, active_anon = 0, inactive_file = 0, active_file = 0, unevictable = 0;
  uint64_t hierarchical_memory_limit = 0, hierarchical_swap_limit = 0;
  uint64_t total_cache = 0, total_rss = 0, total_rss_huge = 0, total_mapped_file = 0;
  uint64_t total_dirty = 0, total_writeback = 0, total_pg_pg_in = 0, total_pg_pg_out = 0;
  uint64_t total_pg_fault = 0, total_pg_maj_fault = 0;
  uint64_t total_inactive_anon = 0, total_active_anon = 0, total_inactive_file = 0;
  uint64_t total_active_file = 0, total_unevictable = 0;
  MemoryEntryV1 usage;
  // Memory and swap together.
  std::optional<MemoryEntryV1> swap;
  std::optional<MemoryEntryV1> kernel;
  std::optional<MemoryEntryV1> kernel_tcp;
};

struct OomControlV1 {
  uint64_t oom_kill_disable = 0;
  uint64_t under_oom = 0;
  uint64_t oom_kill = 0;
};

struct BlkioEntryV1 {
  // "Read", "Write", "Sync", ... ; empty for files that have no operation column.
  std::string op;
  // "/dev/vda", or empty if it cannot be told.
  std::string device;
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t value = 0;
};

struct BlkioStatsV1 {
  std::vector<BlkioEntryV1> io_service_bytes_recursive;
  std::vector<BlkioEntryV1> io_serviced_recursive;
  std::vector<BlkioEntryV1> io_queued_recursive;
  std::vector<BlkioEntryV1> io_service_time_recursive;
  std::vector<BlkioEntryV1> io_wait_time_recursive;
  std::vector<BlkioEntryV1> io_merged_recursive;
  std::vector<BlkioEntryV1> io_time_recursive;
  std::vector<BlkioEntryV1> sectors_recursive;
};

struct StatsV1 {
  std::vector<HugetlbStats> hugetlb;
  std::optional<PidsStats> pids;
  std::optional<CpuStatsV1> cpu;
  std::optional<MemoryStatsV1> memory;
  std::optional<OomControlV1> memory_oom_control;
  std::optional<BlkioStatsV1> blkio;
  std::optional<RdmaStats> rdma;
};

struct PsiData {
  double avg10 = 0;
  double avg60 = 0;
  double avg300 = 0;
  // Microseconds.
  uint64_t total = 0;
};

struct PsiStats {
  PsiData some;
  PsiData full;
};

struct CpuStatsV2 {
  uint64_t usage_usec = 0;
  uint64_t user_usec = 0;
  uint64_t system_usec = 0;
  uint64_t nr_periods = 0;
  uint64_t nr_throttled = 0;
  uint64_t throttled_usec = 0;
  uint64_t nr_bursts = 0;
  uint64_t burst_usec = 0;
  std::optional<PsiStats> psi;
};

struct MemoryStatsV2 {
  uint64_t anon = 0, file = 0, kernel_stack = 0, slab = 0, sock = 0, shmem = 0;
  uint64_t file_mapped = 0, file_dirty = 0, file_writeback = 0, anon_thp = 0;
  uint64_t inactive_anon = 0, active_anon = 0, inactive_file = 0, active_file = 0, unevictable = 0;
  uint64_t slab_reclaimable = 0, slab_unreclaimable = 0;
  uint64_t pgfault = 0, pgmajfault = 0;
  uint64_t workingset_refault = 0, workingset_activate = 0, workingset_nodereclaim = 0;
  uint64_t pgrefill = 0, pgscan = 0, pgsteal = 0, pgactivate = 0, pgdeactivate = 0;
  uint64_t pglazyfree = 0, pglazyfreed = 0, thp_fault_alloc = 0, thp_collapse_alloc = 0;
  uint64_t usage = 0, usage_limit = 0, swap_usage = 0, swap_limit = 0;
  uint64_t max_usage = 0, swap_max_usage = 0;
  std::optional<PsiStats> psi;
};

struct MemoryEventsV2 {
  uint64_t low = 0;
  uint64_t high = 0;
  uint64_t max = 0;
  uint64_t oom = 0;
  uint64_t oom_kill = 0;
  uint64_t oom_group_kill = 0;
};

struct IoEntryV2 {
  uint64_t major = 0;
  uint64_t minor = 0;
  uint64_t rbytes = 0;
  uint64_t wbytes = 0;
  uint64_t rios = 0;
  uint64_t wios = 0;
};

struct IoStatsV2 {
  std::vector<IoEntryV2> usage;
  std::optional<PsiStats> psi;
};

struct StatsV2 {
  std::optional<PidsStats> pids;
  std::optional<CpuStatsV2> cpu;
  std::optional<MemoryStatsV2> memory;
  std::optional<MemoryEventsV2> memory_events;
  std::optional<IoStatsV2> io;
  std::optional<RdmaStats> rdma;
  // `failcnt` is the max event count of hugetlb.<size>.events.
  std::vector<HugetlbStats> hugetlb;
};

enum class CgroupVersion { kV1, kV2 };

struct CgroupStats {
  CgroupVersion version = CgroupVersion::kV1;
  // Filled if version is kV1.
  StatsV1 v1;
  // Filled if version is kV2.
  StatsV2 v2;
};

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_STATS_H_
