#include <map>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "runtime/cgroup/cgroup_v2.h"
#include "runtime/cgroup/stats_parse.h"

namespace gantry::runtime {
namespace {

// A kernel that does not count pressure (psi=0) has the files and refuses to read them.
std::optional<PsiStats> ReadPsi(const CgroupDir& dir, const char* file) {
  const absl::StatusOr<std::string> text = dir.Read(file);
  if (!text.ok() || text->empty()) return std::nullopt;
  return ParsePsi(*text);
}

// cpu.stat is in every cgroup; the bandwidth's part of it comes with the controller.
absl::StatusOr<CpuStatsV2> ReadCpu(const CgroupDir& dir) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, dir.Read("cpu.stat"));
  std::map<std::string, uint64_t> raw = ParsePairs(text);
  CpuStatsV2 s;
  s.usage_usec = raw["usage_usec"];
  s.user_usec = raw["user_usec"];
  s.system_usec = raw["system_usec"];
  s.nr_periods = raw["nr_periods"];
  s.nr_throttled = raw["nr_throttled"];
  s.throttled_usec = raw["throttled_usec"];
  s.nr_bursts = raw["nr_bursts"];
  s.burst_usec = raw["burst_usec"];
  s.psi = ReadPsi(dir, "cpu.pressure");
  return s;
}

absl::StatusOr<MemoryStatsV2> ReadMemory(const CgroupDir& dir) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, dir.Read("memory.stat"));
  std::map<std::string, uint64_t> raw = ParsePairs(text);
  // 5.9 split them by kind; the sum is what they were.
  const auto whole = [&raw](const std::string& name) {
    const auto one = raw.find(name);
    return one != raw.end() ? one->second : raw[name + "_anon"] + raw[name + "_file"];
  };
  MemoryStatsV2 s;
  s.anon = raw["anon"];
  s.file = raw["file"];
  s.kernel_stack = raw["kernel_stack"];
  s.slab = raw["slab"];
  s.sock = raw["sock"];
  s.shmem = raw["shmem"];
  s.file_mapped = raw["file_mapped"];
  s.file_dirty = raw["file_dirty"];
  s.file_writeback = raw["file_writeback"];
  s.anon_thp = raw["anon_thp"];
  s.inactive_anon = raw["inactive_anon"];
  s.active_anon = raw["active_anon"];
  s.inactive_file = raw["inactive_file"];
  s.active_file = raw["active_file"];
  s.unevictable = raw["unevictable"];
  s.slab_reclaimable = raw["slab_reclaimable"];
  s.slab_unreclaimable = raw["slab_unreclaimable"];
  s.pgfault = raw["pgfault"];
  s.pgmajfault = raw["pgmajfault"];
  s.workingset_refault = whole("workingset_refault");
  s.workingset_activate = whole("workingset_activate");
  s.workingset_nodereclaim = raw["workingset_nodereclaim"];
  s.pgrefill = raw["pgrefill"];
  s.pgscan = raw["pgscan"];
  s.pgsteal = raw["pgsteal"];
  s.pgactivate = raw["pgactivate"];
  s.pgdeactivate = raw["pgdeactivate"];
  s.pglazyfree = raw["pglazyfree"];
  s.pglazyfreed = raw["pglazyfreed"];
  s.thp_fault_alloc = raw["thp_fault_alloc"];
  s.thp_collapse_alloc = raw["thp_collapse_alloc"];
  s.usage = NumberOr0(dir, "memory.current");
  s.usage_limit = NumberOr0(dir, "memory.max");
  s.max_usage = NumberOr0(dir, "memory.peak");
  s.swap_usage = NumberOr0(dir, "memory.swap.current");
  s.swap_limit = NumberOr0(dir, "memory.swap.max");
  s.swap_max_usage = NumberOr0(dir, "memory.swap.peak");
  s.psi = ReadPsi(dir, "memory.pressure");
  return s;
}

// "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0"; a device with nothing to tell is a bare
// "8:0 ".
std::vector<IoEntryV2> ParseIo(absl::string_view text) {
  std::vector<IoEntryV2> entries;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    const std::pair<std::string, std::string> device =
        absl::StrSplit(words[0], absl::MaxSplits(':', 1));
    IoEntryV2 entry;
    if (!absl::SimpleAtoi(device.first, &entry.major) ||
        !absl::SimpleAtoi(device.second, &entry.minor)) {
      continue;
    }
    for (const std::string& word : words) {
      const std::pair<std::string, std::string> pair =
          absl::StrSplit(word, absl::MaxSplits('=', 1));
      if (pair.first == "rbytes") (void)absl::SimpleAtoi(pair.second, &entry.rbytes);
      if (pair.first == "wbytes") (void)absl::SimpleAtoi(pair.second, &entry.wbytes);
      if (pair.first == "rios") (void)absl::SimpleAtoi(pair.second, &entry.rios);
      if (pair.first == "wios") (void)absl::SimpleAtoi(pair.second, &entry.wios);
    }
    entries.push_back(entry);
  }
  return entries;
}

}  // namespace

absl::StatusOr<MemoryEventsV2> ReadMemoryEventsV2(const CgroupDir& dir) {
  GANTRY_ASSIGN_OR_RETURN(const std::string text, dir.Read("memory.events"));
  std::map<std::string, uint64_t> raw = ParsePairs(text);
  return MemoryEventsV2{raw["low"], raw["high"],     raw["max"],
                        raw["oom"], raw["oom_kill"], raw["oom_group_kill"]};
}

absl::StatusOr<StatsV2> ReadStatsV2(const CgroupDir& dir) {
  StatsV2 stats;
  if (dir.Has("pids.current")) {
    stats.pids = PidsStats{NumberOr0(dir, "pids.current"), NumberOr0(dir, "pids.max")};
  }
  GANTRY_ASSIGN_OR_RETURN(stats.cpu, ReadCpu(dir));
  if (dir.Has("memory.current")) {
    GANTRY_ASSIGN_OR_RETURN(stats.memory, ReadMemory(dir));
    GANTRY_ASSIGN_OR_RETURN(stats.memory_events, ReadMemoryEventsV2(dir));
  }
  if (dir.Has("io.stat")) {
    stats.io = IoStatsV2{ParseIo(dir.Read("io.stat").value_or("")), ReadPsi(dir, "io.pressure")};
  }
  if (dir.Has("rdma.current")) stats.rdma = ReadRdmaStats(dir);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> sizes, HugepageSizes(dir));
  for (const std::string& size : sizes) {
    const std::string prefix = absl::StrCat("hugetlb.", size, ".");
    std::map<std::string, uint64_t> events =
        ParsePairs(dir.Read((prefix + "events").c_str()).value_or(""));
    stats.hugetlb.push_back(HugetlbStats{size, NumberOr0(dir, prefix + "current"),
                                         NumberOr0(dir, prefix + "max"), events["max"]});
  }
  return stats;
}

}  // namespace gantry::runtime
