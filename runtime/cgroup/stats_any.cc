#include "runtime/cgroup/stats_any.h"

#include <initializer_list>

#include "base/wire.h"

namespace gantry::runtime {
namespace {

// A message whose fields 1, 2, 3, ... are integers.
WireWriter Numbers(std::initializer_list<uint64_t> values) {
  WireWriter message;
  uint32_t field = 0;
  for (const uint64_t value : values) message.Uint(++field, value);
  return message;
}

std::string Entry(const MemoryEntryV1& entry) {
  return Numbers({entry.limit, entry.usage, entry.max, entry.failcnt}).Take();
}

std::string Encode(const MemoryStatsV1& m) {
  WireWriter message = Numbers({m.cache,
                                m.rss,
                                m.rss_huge,
                                m.mapped_file,
                                m.dirty,
                                m.writeback,
                                m.pg_pg_in,
                                m.pg_pg_out,
                                m.pg_fault,
                                m.pg_maj_fault,
                                m.inactive_anon,
                                m.active_anon,
                                m.inactive_file,
                                m.active_file,
                                m.unevictable,
                                m.hierarchical_memory_limit,
                                m.hierarchical_swap_limit,
                                m.total_cache,
                                m.total_rss,
                                m.total_rss_huge,
                                m.total_mapped_file,
                                m.total_dirty,
                                m.total_writeback,
                                m.total_pg_pg_in,
                                m.total_pg_pg_out,
                                m.total_pg_fault,
                                m.total_pg_maj_fault,
                                m.total_inactive_anon,
                                m.total_active_anon,
                                m.total_inactive_file,
                                m.total_active_file,
                                m.total_unevictable});
  message.Element(33, Entry(m.usage));
  if (m.swap) message.Element(34, Entry(*m.swap));
  if (m.kernel) message.Element(35, Entry(*m.kernel));
  if (m.kernel_tcp) message.Element(36, Entry(*m.kernel_tcp));
  return message.Take();
}

std::string Encode(const CpuStatsV1& cpu) {
  WireWriter usage = Numbers({cpu.total, cpu.kernel, cpu.user});
  usage.Packed(4, cpu.per_cpu);
  WireWriter message;
  message.Element(1, usage.bytes());
  message.Element(2, Numbers({cpu.periods, cpu.throttled_periods, cpu.throttled_time}).bytes());
  return message.Take();
}

std::string Encode(const BlkioStatsV1& blkio) {
  WireWriter message;
  uint32_t field = 0;
  for (const std::vector<BlkioEntryV1>* entries :
       {&blkio.io_service_bytes_recursive, &blkio.io_serviced_recursive, &blkio.io_queued_recursive,
        &blkio.io_service_time_recursive, &blkio.io_wait_time_recursive, &blkio.io_merged_recursive,
        &blkio.io_time_recursive, &blkio.sectors_recursive}) {
    ++field;
    for (const BlkioEntryV1& one : *entries) {
      WireWriter entry;
      entry.Bytes(1, one.op);
      entry.Bytes(2, one.device);
      entry.Uint(3, one.major);
      entry.Uint(4, one.minor);
      entry.Uint(5, one.value);
      message.Element(field, entry.bytes());
    }
  }
  return message.Take();
}

std::string Encode(const RdmaStats& rdma) {
  WireWriter message;
  uint32_t field = 0;
  for (const std::vector<RdmaEntry>* entries : {&rdma.current, &rdma.limit}) {
    ++field;
    for (const RdmaEntry& one : *entries) {
      WireWriter entry;
      entry.Bytes(1, one.device);
      entry.Uint(2, one.hca_handles);
      entry.Uint(3, one.hca_objects);
      message.Element(field, entry.bytes());
    }
  }
  return message.Take();
}

std::string Encode(const PidsStats& pids) { return Numbers({pids.current, pids.limit}).Take(); }

std::string Encode(const StatsV1& stats) {
  WireWriter message;
  for (const HugetlbStats& one : stats.hugetlb) {
    WireWriter entry = Numbers({one.usage, one.max, one.failcnt});
    entry.Bytes(4, one.page_size);
    message.Element(1, entry.bytes());
  }
  if (stats.pids) message.Element(2, Encode(*stats.pids));
  if (stats.cpu) message.Element(3, Encode(*stats.cpu));
  if (stats.memory) message.Element(4, Encode(*stats.memory));
  if (stats.blkio) message.Element(5, Encode(*stats.blkio));
  if (stats.rdma) message.Element(6, Encode(*stats.rdma));
  if (stats.memory_oom_control) {
    const OomControlV1& oom = *stats.memory_oom_control;
    message.Element(9, Numbers({oom.oom_kill_disable, oom.under_oom, oom.oom_kill}).bytes());
  }
  return message.Take();
}

std::string Encode(const PsiData& psi) {
  WireWriter message;
  message.Double(1, psi.avg10);
  message.Double(2, psi.avg60);
  message.Double(3, psi.avg300);
  message.Uint(4, psi.total);
  return message.Take();
}

std::string Encode(const PsiStats& psi) {
  WireWriter message;
  message.Element(1, Encode(psi.some));
  message.Element(2, Encode(psi.full));
  return message.Take();
}

std::string Encode(const CpuStatsV2& cpu) {
  WireWriter message = Numbers({cpu.usage_usec, cpu.user_usec, cpu.system_usec, cpu.nr_periods,
                                cpu.nr_throttled, cpu.throttled_usec});
  if (cpu.psi) message.Element(7, Encode(*cpu.psi));
  message.Uint(8, cpu.nr_bursts);
  message.Uint(9, cpu.burst_usec);
  return message.Take();
}

std::string Encode(const MemoryStatsV2& m) {
  WireWriter message = Numbers({m.anon,
                                m.file,
                                m.kernel_stack,
                                m.slab,
                                m.sock,
                                m.shmem,
                                m.file_mapped,
                                m.file_dirty,
                                m.file_writeback,
                                m.anon_thp,
                                m.inactive_anon,
                                m.active_anon,
                                m.inactive_file,
                                m.active_file,
                                m.unevictable,
                                m.slab_reclaimable,
                                m.slab_unreclaimable,
                                m.pgfault,
                                m.pgmajfault,
                                m.workingset_refault,
                                m.workingset_activate,
                                m.workingset_nodereclaim,
                                m.pgrefill,
                                m.pgscan,
                                m.pgsteal,
                                m.pgactivate,
                                m.pgdeactivate,
                                m.pglazyfree,
                                m.pglazyfreed,
                                m.thp_fault_alloc,
                                m.thp_collapse_alloc,
                                m.usage,
                                m.usage_limit,
                                m.swap_usage,
                                m.swap_limit,
                                m.max_usage,
                                m.swap_max_usage});
  if (m.psi) message.Element(38, Encode(*m.psi));
  return message.Take();
}

std::string Encode(const IoStatsV2& io) {
  WireWriter message;
  for (const IoEntryV2& one : io.usage) {
    message.Element(
        1, Numbers({one.major, one.minor, one.rbytes, one.wbytes, one.rios, one.wios}).bytes());
  }
  if (io.psi) message.Element(2, Encode(*io.psi));
  return message.Take();
}

std::string Encode(const StatsV2& stats) {
  WireWriter message;
  if (stats.pids) message.Element(1, Encode(*stats.pids));
  if (stats.cpu) message.Element(2, Encode(*stats.cpu));
  if (stats.memory) message.Element(4, Encode(*stats.memory));
  if (stats.rdma) message.Element(5, Encode(*stats.rdma));
  if (stats.io) message.Element(6, Encode(*stats.io));
  for (const HugetlbStats& one : stats.hugetlb) {
    WireWriter entry = Numbers({one.usage, one.max});
    entry.Bytes(3, one.page_size);
    entry.Uint(4, one.failcnt);
    message.Element(7, entry.bytes());
  }
  if (stats.memory_events) {
    const MemoryEventsV2& events = *stats.memory_events;
    message.Element(8, Numbers({events.low, events.high, events.max, events.oom, events.oom_kill,
                                events.oom_group_kill})
                           .bytes());
  }
  return message.Take();
}

}  // namespace

Any StatsToAny(const CgroupStats& stats) {
  if (stats.version == CgroupVersion::kV1) {
    return {"io.containerd.cgroups.v1.Metrics", Encode(stats.v1)};
  }
  return {"io.containerd.cgroups.v2.Metrics", Encode(stats.v2)};
}

}  // namespace gantry::runtime
