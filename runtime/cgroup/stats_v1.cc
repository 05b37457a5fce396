#include <map>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "runtime/cgroup/cgroup_v1.h"
#include "runtime/cgroup/stats_parse.h"

namespace gantry::runtime {
namespace {

// The clock tick of cpuacct.stat is USER_HZ, which is 100 on every architecture that gantry runs
// on.
constexpr uint64_t kNanosecondsPerTick = 10'000'000;

absl::StatusOr<CpuStatsV1> ReadCpu(const CgroupDirs& dirs) {
  CpuStatsV1 stats;
  if (const CgroupDir* const dir = dirs.Find("cpuacct"); dir != nullptr) {
    stats.total = NumberOr0(*dir, "cpuacct.usage");
    GANTRY_ASSIGN_OR_RETURN(const std::string split, dir->Read("cpuacct.stat"));
    std::map<std::string, uint64_t> ticks = ParsePairs(split);
    stats.user = ticks["user"] * kNanosecondsPerTick;
    stats.kernel = ticks["system"] * kNanosecondsPerTick;
    GANTRY_ASSIGN_OR_RETURN(const std::string per_cpu, dir->Read("cpuacct.usage_percpu"));
    for (const absl::string_view word :
         absl::StrSplit(per_cpu, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
      uint64_t number = 0;
      if (absl::SimpleAtoi(word, &number)) stats.per_cpu.push_back(number);
    }
  }
  if (const CgroupDir* const dir = dirs.Find("cpu"); dir != nullptr) {
    GANTRY_ASSIGN_OR_RETURN(const std::string text, dir->Read("cpu.stat"));
    std::map<std::string, uint64_t> pairs = ParsePairs(text);
    stats.periods = pairs["nr_periods"];
    stats.throttled_periods = pairs["nr_throttled"];
    stats.throttled_time = pairs["throttled_time"];
  }
  return stats;
}

std::optional<MemoryEntryV1> ReadMemoryEntry(const CgroupDir& dir, absl::string_view module) {
  const std::string prefix = module.empty() ? "memory." : absl::StrCat("memory.", module, ".");
  const absl::StatusOr<uint64_t> usage =
      dir.ReadNumber(absl::StrCat(prefix, "usage_in_bytes").c_str());
  if (!usage.ok()) return std::nullopt;  // this kernel does not count it
  MemoryEntryV1 entry;
  entry.usage = *usage;
  entry.limit = NumberOr0(dir, prefix + "limit_in_bytes");
  entry.max = NumberOr0(dir, prefix + "max_usage_in_bytes");
  entry.failcnt = NumberOr0(dir, prefix + "failcnt");
  return entry;
}

absl::StatusOr<MemoryStatsV1> ReadMemory(const CgroupDir& dir) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, dir.Read("memory.stat"));
  std::map<std::string, uint64_t> raw = ParsePairs(text);
  MemoryStatsV1 s;
  s.cache = raw["cache"];
  s.rss = raw["rss"];
  s.rss_huge = raw["rss_huge"];
  s.mapped_file = raw["mapped_file"];
  s.dirty = raw["dirty"];
  s.writeback = raw["writeback"];
  s.pg_pg_in = raw["pgpgin"];
  s.pg_pg_out = raw["pgpgout"];
  s.pg_fault = raw["pgfault"];
  s.pg_maj_fault = raw["pgmajfault"];
  s.inactive_anon = raw["inactive_anon"];
  s.active_anon = raw["active_anon"];
  s.inactive_file = raw["inactive_file"];
  s.active_file = raw["active_file"];
  s.unevictable = raw["unevictable"];
  s.hierarchical_memory_limit = raw["hierarchical_memory_limit"];
  s.hierarchical_swap_limit = raw["hierarchical_memsw_limit"];
  s.total_cache = raw["total_cache"];
  s.total_rss = raw["total_rss"];
  s.total_rss_huge = raw["total_rss_huge"];
  s.total_mapped_file = raw["total_mapped_file"];
  s.total_dirty = raw["total_dirty"];
  s.total_writeback = raw["total_writeback"];
  s.total_pg_pg_in = raw["total_pgpgin"];
  s.total_pg_pg_out = raw["total_pgpgout"];
  s.total_pg_fault = raw["total_pgfault"];
  s.total_pg_maj_fault = raw["total_pgmajfault"];
  s.total_inactive_anon = raw["total_inactive_anon"];
  s.total_active_anon = raw["total_active_anon"];
  s.total_inactive_file = raw["total_inactive_file"];
  s.total_active_file = raw["total_active_file"];
  s.total_unevictable = raw["total_unevictable"];
  s.usage = ReadMemoryEntry(dir, "").value_or(MemoryEntryV1{});
  s.swap = ReadMemoryEntry(dir, "memsw");
  s.kernel = ReadMemoryEntry(dir, "kmem");
  s.kernel_tcp = ReadMemoryEntry(dir, "kmem.tcp");
  return s;
}

// "8:0 Read 4096" or "8:0 16"; a last line "Total 4096" belongs to no device.
std::vector<BlkioEntryV1> ParseBlkio(absl::string_view text, BlockDeviceNames& devices) {
  std::vector<BlkioEntryV1> entries;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() < 2) continue;
    const std::pair<absl::string_view, absl::string_view> device =
        absl::StrSplit(words[0], absl::MaxSplits(':', 1));
    BlkioEntryV1 entry;
    if (!absl::SimpleAtoi(device.first, &entry.major) ||
        !absl::SimpleAtoi(device.second, &entry.minor))
      continue;
    if (words.size() == 3) entry.op = std::string(words[1]);
    entry.device = devices.Name(entry.major, entry.minor);
    if (absl::SimpleAtoi(words.back(), &entry.value)) entries.push_back(std::move(entry));
  }
  return entries;
}

BlkioStatsV1 ReadBlkio(const CgroupDir& dir) {
  // The scheduler's own files where it keeps them, else the throttling layer's.
  BlockDeviceNames devices;
  const auto read = [&](std::initializer_list<const char*> files) {
    for (const char* const file : files) {
      const absl::StatusOr<std::string> text = dir.Read(file);
      if (!text.ok()) continue;
      std::vector<BlkioEntryV1> entries = ParseBlkio(*text, devices);
      if (!entries.empty()) return entries;
    }
    return std::vector<BlkioEntryV1>();
  };
  BlkioStatsV1 stats;
  stats.io_service_bytes_recursive =
      read({"blkio.bfq.io_service_bytes_recursive", "blkio.io_service_bytes_recursive",
            "blkio.throttle.io_service_bytes_recursive"});
  stats.io_serviced_recursive =
      read({"blkio.bfq.io_serviced_recursive", "blkio.io_serviced_recursive",
            "blkio.throttle.io_serviced_recursive"});
  stats.io_queued_recursive = read({"blkio.bfq.io_queued_recursive", "blkio.io_queued_recursive"});
  stats.io_service_time_recursive =
      read({"blkio.bfq.io_service_time_recursive", "blkio.io_service_time_recursive"});
  stats.io_wait_time_recursive =
      read({"blkio.bfq.io_wait_time_recursive", "blkio.io_wait_time_recursive"});
  stats.io_merged_recursive = read({"blkio.bfq.io_merged_recursive", "blkio.io_merged_recursive"});
  stats.io_time_recursive = read({"blkio.bfq.time_recursive", "blkio.time_recursive"});
  stats.sectors_recursive = read({"blkio.bfq.sectors_recursive", "blkio.sectors_recursive"});
  return stats;
}

}  // namespace

absl::StatusOr<OomControlV1> ReadOomControlV1(const CgroupDir& memory) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, memory.Read("memory.oom_control"));
  std::map<std::string, uint64_t> pairs = ParsePairs(text);
  return OomControlV1{pairs["oom_kill_disable"], pairs["under_oom"], pairs["oom_kill"]};
}

absl::StatusOr<StatsV1> ReadStatsV1(const CgroupDirs& dirs) {
  StatsV1 stats;
  if (const CgroupDir* const dir = dirs.Find("pids"); dir != nullptr) {
    const uint64_t limit = NumberOr0(*dir, "pids.max");
    stats.pids = PidsStats{NumberOr0(*dir, "pids.current"), limit == UINT64_MAX ? 0 : limit};
  }
  if (dirs.Find("cpu") != nullptr || dirs.Find("cpuacct") != nullptr) {
    GANTRY_ASSIGN_OR_RETURN(stats.cpu, ReadCpu(dirs));
  }
  if (const CgroupDir* const dir = dirs.Find("memory"); dir != nullptr) {
    GANTRY_ASSIGN_OR_RETURN(stats.memory, ReadMemory(*dir));
    GANTRY_ASSIGN_OR_RETURN(stats.memory_oom_control, ReadOomControlV1(*dir));
  }
  if (const CgroupDir* const dir = dirs.Find("blkio"); dir != nullptr) {
    stats.blkio = ReadBlkio(*dir);
  }
  if (const CgroupDir* const dir = dirs.Find("hugetlb"); dir != nullptr) {
    GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> sizes, HugepageSizes(*dir));
    for (const std::string& size : sizes) {
      const std::string prefix = absl::StrCat("hugetlb.", size, ".");
      stats.hugetlb.push_back(HugetlbStats{size, NumberOr0(*dir, prefix + "usage_in_bytes"),
                                           NumberOr0(*dir, prefix + "max_usage_in_bytes"),
                                           NumberOr0(*dir, prefix + "failcnt")});
    }
  }
  if (const CgroupDir* const dir = dirs.Find("rdma"); dir != nullptr) {
    stats.rdma = ReadRdmaStats(*dir);
  }
  return stats;
}

}  // namespace gantry::runtime
