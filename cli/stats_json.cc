#include "cli/stats_json.h"

#include <limits>

namespace gantry::cli {
namespace {

using runtime::BlkioEntryV1;
using runtime::MemoryEntryV1;

constexpr uint64_t kNanosPerMicro = 1000;

Json EntryJson(uint64_t limit, uint64_t usage, uint64_t max, uint64_t failcnt) {
  return {{"limit", limit}, {"usage", usage}, {"max", max}, {"failcnt", failcnt}};
}

Json EntryJson(const std::optional<MemoryEntryV1>& entry) {
  const MemoryEntryV1 value = entry.value_or(MemoryEntryV1{});
  return EntryJson(value.limit, value.usage, value.max, value.failcnt);
}

Json PidsJson(const std::optional<runtime::PidsStats>& pids) {
  if (!pids.has_value()) return Json::object();
  Json json = {{"current", pids->current}};
  // Left out if there is none.
  if (pids->limit != 0 && pids->limit != std::numeric_limits<uint64_t>::max()) {
    json["limit"] = pids->limit;
  }
  return json;
}

Json HugetlbJson(const std::vector<runtime::HugetlbStats>& sizes) {
  Json json = Json::object();
  for (const runtime::HugetlbStats& one : sizes) {
    json[one.page_size] = {{"usage", one.usage}, {"max", one.max}, {"failcnt", one.failcnt}};
  }
  return json;
}

Json RawJson(const runtime::MemoryStatsV1& m) {
  return {{"cache", m.cache},
          {"rss", m.rss},
          {"rss_huge", m.rss_huge},
          {"mapped_file", m.mapped_file},
          {"dirty", m.dirty},
          {"writeback", m.writeback},
          {"pgpgin", m.pg_pg_in},
          {"pgpgout", m.pg_pg_out},
          {"pgfault", m.pg_fault},
          {"pgmajfault", m.pg_maj_fault},
          {"inactive_anon", m.inactive_anon},
          {"active_anon", m.active_anon},
          {"inactive_file", m.inactive_file},
          {"active_file", m.active_file},
          {"unevictable", m.unevictable},
          {"hierarchical_memory_limit", m.hierarchical_memory_limit},
          {"hierarchical_memsw_limit", m.hierarchical_swap_limit},
          {"total_cache", m.total_cache},
          {"total_rss", m.total_rss},
          {"total_rss_huge", m.total_rss_huge},
          {"total_mapped_file", m.total_mapped_file},
          {"total_dirty", m.total_dirty},
          {"total_writeback", m.total_writeback},
          {"total_pgpgin", m.total_pg_pg_in},
          {"total_pgpgout", m.total_pg_pg_out},
          {"total_pgfault", m.total_pg_fault},
          {"total_pgmajfault", m.total_pg_maj_fault},
          {"total_inactive_anon", m.total_inactive_anon},
          {"total_active_anon", m.total_active_anon},
          {"total_inactive_file", m.total_inactive_file},
          {"total_active_file", m.total_active_file},
          {"total_unevictable", m.total_unevictable}};
}

void SetBlkio(Json& json, const char* name, const std::vector<BlkioEntryV1>& entries) {
  if (entries.empty()) return;
  Json& list = json[name] = Json::array();
  for (const BlkioEntryV1& one : entries) {
    list.push_back(
        {{"major", one.major}, {"minor", one.minor}, {"op", one.op}, {"value", one.value}});
  }
}

Json BlkioJson(const std::optional<runtime::BlkioStatsV1>& blkio) {
  Json json = Json::object();
  if (!blkio.has_value()) return json;
  SetBlkio(json, "ioServiceBytesRecursive", blkio->io_service_bytes_recursive);
  SetBlkio(json, "ioServicedRecursive", blkio->io_serviced_recursive);
  SetBlkio(json, "ioQueueRecursive", blkio->io_queued_recursive);
  SetBlkio(json, "ioServiceTimeRecursive", blkio->io_service_time_recursive);
  SetBlkio(json, "ioWaitTimeRecursive", blkio->io_wait_time_recursive);
  SetBlkio(json, "ioMergedRecursive", blkio->io_merged_recursive);
  SetBlkio(json, "ioTimeRecursive", blkio->io_time_recursive);
  SetBlkio(json, "sectorsRecursive", blkio->sectors_recursive);
  return json;
}

Json IoJson(const std::optional<runtime::IoStatsV2>& io) {
  std::vector<BlkioEntryV1> bytes;
  std::vector<BlkioEntryV1> operations;
  if (io.has_value()) {
    for (const runtime::IoEntryV2& one : io->usage) {
      bytes.push_back({"Read", "", one.major, one.minor, one.rbytes});
      bytes.push_back({"Write", "", one.major, one.minor, one.wbytes});
      operations.push_back({"Read", "", one.major, one.minor, one.rios});
      operations.push_back({"Write", "", one.major, one.minor, one.wios});
    }
  }
  Json json = Json::object();
  SetBlkio(json, "ioServiceBytesRecursive", bytes);
  SetBlkio(json, "ioServicedRecursive", operations);
  return json;
}

Json ThrottlingJson(uint64_t periods, uint64_t throttled, uint64_t time) {
  Json json = Json::object();
  if (periods != 0) json["periods"] = periods;
  if (throttled != 0) json["throttledPeriods"] = throttled;
  if (time != 0) json["throttledTime"] = time;
  return json;
}

Json FromV1(const runtime::StatsV1& stats) {
  const runtime::CpuStatsV1 cpu = stats.cpu.value_or(runtime::CpuStatsV1{});
  const runtime::MemoryStatsV1 memory = stats.memory.value_or(runtime::MemoryStatsV1{});
  return {
      {"cpu",
       {{"usage",
         {{"total", cpu.total},
          {"percpu", cpu.per_cpu},
          {"kernel", cpu.kernel},
          {"user", cpu.user}}},
        {"throttling", ThrottlingJson(cpu.periods, cpu.throttled_periods, cpu.throttled_time)}}},
      {"memory",
       {{"cache", memory.cache},
        {"usage", EntryJson(memory.usage)},
        {"swap", EntryJson(memory.swap)},
        {"kernel", EntryJson(memory.kernel)},
        {"kernelTCP", EntryJson(memory.kernel_tcp)},
        {"raw", RawJson(memory)}}},
      {"pids", PidsJson(stats.pids)},
      {"blkio", BlkioJson(stats.blkio)},
      {"hugetlb", HugetlbJson(stats.hugetlb)}};
}

Json FromV2(const runtime::StatsV2& stats) {
  const runtime::CpuStatsV2 cpu = stats.cpu.value_or(runtime::CpuStatsV2{});
  const runtime::MemoryStatsV2 memory = stats.memory.value_or(runtime::MemoryStatsV2{});
  const runtime::MemoryEventsV2 events = stats.memory_events.value_or(runtime::MemoryEventsV2{});
  return {{"cpu",
           {{"usage",
             {{"total", cpu.usage_usec * kNanosPerMicro},
              {"kernel", cpu.system_usec * kNanosPerMicro},
              {"user", cpu.user_usec * kNanosPerMicro}}},
            {"throttling", ThrottlingJson(cpu.nr_periods, cpu.nr_throttled,
                                          cpu.throttled_usec * kNanosPerMicro)}}},
          {"memory",
           {{"cache", memory.file},
            {"usage", EntryJson(memory.usage_limit, memory.usage, memory.max_usage, events.max)},
            {"swap", EntryJson(memory.swap_limit, memory.swap_usage, memory.swap_max_usage, 0)},
            {"raw",
             {{"anon", memory.anon},
              {"file", memory.file},
              {"kernel_stack", memory.kernel_stack},
              {"slab", memory.slab},
              {"sock", memory.sock},
              {"shmem", memory.shmem},
              {"inactive_anon", memory.inactive_anon},
              {"active_anon", memory.active_anon},
              {"inactive_file", memory.inactive_file},
              {"active_file", memory.active_file},
              {"unevictable", memory.unevictable},
              {"pgfault", memory.pgfault},
              {"pgmajfault", memory.pgmajfault}}}}},
          {"pids", PidsJson(stats.pids)},
          {"blkio", IoJson(stats.io)},
          {"hugetlb", HugetlbJson(stats.hugetlb)}};
}

}  // namespace

Json StatsJson(const runtime::CgroupStats& stats) {
  Json json = stats.version == runtime::CgroupVersion::kV1 ? FromV1(stats.v1) : FromV2(stats.v2);
  // Always there, for parsers that ask for them.
  json["intel_rdt"] = Json::object();
  json["network_interfaces"] = nullptr;
  return json;
}

}  // namespace gantry::cli
