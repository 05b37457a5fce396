#include "shim/stats_any.h"

#include "proto/io/containerd/cgroups/v1/metrics.pb.h"
#include "proto/io/containerd/cgroups/v2/metrics.pb.h"

namespace gantry::shim {
namespace {

namespace v1 = ::io::containerd::cgroups::v1;
namespace v2 = ::io::containerd::cgroups::v2;

void Fill(const runtime::MemoryEntryV1& from, v1::MemoryEntry* to) {
  to->set_limit(from.limit);
  to->set_usage(from.usage);
  to->set_max(from.max);
  to->set_failcnt(from.failcnt);
}

void Fill(const runtime::MemoryStatsV1& from, v1::MemoryStat* to) {
  to->set_cache(from.cache);
  to->set_rss(from.rss);
  to->set_rss_huge(from.rss_huge);
  to->set_mapped_file(from.mapped_file);
  to->set_dirty(from.dirty);
  to->set_writeback(from.writeback);
  to->set_pg_pg_in(from.pg_pg_in);
  to->set_pg_pg_out(from.pg_pg_out);
  to->set_pg_fault(from.pg_fault);
  to->set_pg_maj_fault(from.pg_maj_fault);
  to->set_inactive_anon(from.inactive_anon);
  to->set_active_anon(from.active_anon);
  to->set_inactive_file(from.inactive_file);
  to->set_active_file(from.active_file);
  to->set_unevictable(from.unevictable);
  to->set_hierarchical_memory_limit(from.hierarchical_memory_limit);
  to->set_hierarchical_swap_limit(from.hierarchical_swap_limit);
  to->set_total_cache(from.total_cache);
  to->set_total_rss(from.total_rss);
  to->set_total_rss_huge(from.total_rss_huge);
  to->set_total_mapped_file(from.total_mapped_file);
  to->set_total_dirty(from.total_dirty);
  to->set_total_writeback(from.total_writeback);
  to->set_total_pg_pg_in(from.total_pg_pg_in);
  to->set_total_pg_pg_out(from.total_pg_pg_out);
  to->set_total_pg_fault(from.total_pg_fault);
  to->set_total_pg_maj_fault(from.total_pg_maj_fault);
  to->set_total_inactive_anon(from.total_inactive_anon);
  to->set_total_active_anon(from.total_active_anon);
  to->set_total_inactive_file(from.total_inactive_file);
  to->set_total_active_file(from.total_active_file);
  to->set_total_unevictable(from.total_unevictable);
  Fill(from.usage, to->mutable_usage());
  if (from.swap) Fill(*from.swap, to->mutable_swap());
  if (from.kernel) Fill(*from.kernel, to->mutable_kernel());
  if (from.kernel_tcp) Fill(*from.kernel_tcp, to->mutable_kernel_tcp());
}

void Fill(const runtime::CpuStatsV1& from, v1::CPUStat* to) {
  to->mutable_usage()->set_total(from.total);
  to->mutable_usage()->set_kernel(from.kernel);
  to->mutable_usage()->set_user(from.user);
  for (const uint64_t one : from.per_cpu) to->mutable_usage()->add_per_cpu(one);
  to->mutable_throttling()->set_periods(from.periods);
  to->mutable_throttling()->set_throttled_periods(from.throttled_periods);
  to->mutable_throttling()->set_throttled_time(from.throttled_time);
}

template <typename Entries>
void Fill(const std::vector<runtime::BlkioEntryV1>& from, Entries* to) {
  for (const runtime::BlkioEntryV1& one : from) {
    v1::BlkIOEntry* entry = to->Add();
    entry->set_op(one.op);
    entry->set_device(one.device);
    entry->set_major(one.major);
    entry->set_minor(one.minor);
    entry->set_value(one.value);
  }
}

void Fill(const runtime::BlkioStatsV1& from, v1::BlkIOStat* to) {
  Fill(from.io_service_bytes_recursive, to->mutable_io_service_bytes_recursive());
  Fill(from.io_serviced_recursive, to->mutable_io_serviced_recursive());
  Fill(from.io_queued_recursive, to->mutable_io_queued_recursive());
  Fill(from.io_service_time_recursive, to->mutable_io_service_time_recursive());
  Fill(from.io_wait_time_recursive, to->mutable_io_wait_time_recursive());
  Fill(from.io_merged_recursive, to->mutable_io_merged_recursive());
  Fill(from.io_time_recursive, to->mutable_io_time_recursive());
  Fill(from.sectors_recursive, to->mutable_sectors_recursive());
}

// The same shape in both versions.
template <typename Message>
void FillCommon(const std::optional<runtime::PidsStats>& pids,
                const std::optional<runtime::RdmaStats>& rdma, Message* to) {
  if (pids) {
    to->mutable_pids()->set_current(pids->current);
    to->mutable_pids()->set_limit(pids->limit);
  }
  if (!rdma) return;
  for (const auto& [from, entries] :
       {std::pair{&rdma->current, to->mutable_rdma()->mutable_current()},
        {&rdma->limit, to->mutable_rdma()->mutable_limit()}}) {
    for (const runtime::RdmaEntry& one : *from) {
      auto* entry = entries->Add();
      entry->set_device(one.device);
      entry->set_hca_handles(one.hca_handles);
      entry->set_hca_objects(one.hca_objects);
    }
  }
}

std::string MetricsOf(const runtime::StatsV1& stats) {
  v1::Metrics metrics;
  FillCommon(stats.pids, stats.rdma, &metrics);
  for (const runtime::HugetlbStats& one : stats.hugetlb) {
    v1::HugetlbStat* entry = metrics.add_hugetlb();
    entry->set_usage(one.usage);
    entry->set_max(one.max);
    entry->set_failcnt(one.failcnt);
    entry->set_pagesize(one.page_size);
  }
  if (stats.cpu) Fill(*stats.cpu, metrics.mutable_cpu());
  if (stats.memory) Fill(*stats.memory, metrics.mutable_memory());
  if (stats.blkio) Fill(*stats.blkio, metrics.mutable_blkio());
  if (stats.memory_oom_control) {
    const runtime::OomControlV1& from = *stats.memory_oom_control;
    metrics.mutable_memory_oom_control()->set_oom_kill_disable(from.oom_kill_disable);
    metrics.mutable_memory_oom_control()->set_under_oom(from.under_oom);
    metrics.mutable_memory_oom_control()->set_oom_kill(from.oom_kill);
  }
  return metrics.SerializeAsString();
}

void Fill(const runtime::PsiData& from, v2::PSIData* to) {
  to->set_avg10(from.avg10);
  to->set_avg60(from.avg60);
  to->set_avg300(from.avg300);
  to->set_total(from.total);
}

void Fill(const runtime::PsiStats& from, v2::PSIStats* to) {
  Fill(from.some, to->mutable_some());
  Fill(from.full, to->mutable_full());
}

void Fill(const runtime::CpuStatsV2& from, v2::CPUStat* to) {
  to->set_usage_usec(from.usage_usec);
  to->set_user_usec(from.user_usec);
  to->set_system_usec(from.system_usec);
  to->set_nr_periods(from.nr_periods);
  to->set_nr_throttled(from.nr_throttled);
  to->set_throttled_usec(from.throttled_usec);
  to->set_nr_bursts(from.nr_bursts);
  to->set_burst_usec(from.burst_usec);
  if (from.psi) Fill(*from.psi, to->mutable_psi());
}

void Fill(const runtime::MemoryStatsV2& from, v2::MemoryStat* to) {
  to->set_anon(from.anon);
  to->set_file(from.file);
  to->set_kernel_stack(from.kernel_stack);
  to->set_slab(from.slab);
  to->set_sock(from.sock);
  to->set_shmem(from.shmem);
  to->set_file_mapped(from.file_mapped);
  to->set_file_dirty(from.file_dirty);
  to->set_file_writeback(from.file_writeback);
  to->set_anon_thp(from.anon_thp);
  to->set_inactive_anon(from.inactive_anon);
  to->set_active_anon(from.active_anon);
  to->set_inactive_file(from.inactive_file);
  to->set_active_file(from.active_file);
  to->set_unevictable(from.unevictable);
  to->set_slab_reclaimable(from.slab_reclaimable);
  to->set_slab_unreclaimable(from.slab_unreclaimable);
  to->set_pgfault(from.pgfault);
  to->set_pgmajfault(from.pgmajfault);
  to->set_workingset_refault(from.workingset_refault);
  to->set_workingset_activate(from.workingset_activate);
  to->set_workingset_nodereclaim(from.workingset_nodereclaim);
  to->set_pgrefill(from.pgrefill);
  to->set_pgscan(from.pgscan);
  to->set_pgsteal(from.pgsteal);
  to->set_pgactivate(from.pgactivate);
  to->set_pgdeactivate(from.pgdeactivate);
  to->set_pglazyfree(from.pglazyfree);
  to->set_pglazyfreed(from.pglazyfreed);
  to->set_thp_fault_alloc(from.thp_fault_alloc);
  to->set_thp_collapse_alloc(from.thp_collapse_alloc);
  to->set_usage(from.usage);
  to->set_usage_limit(from.usage_limit);
  to->set_swap_usage(from.swap_usage);
  to->set_swap_limit(from.swap_limit);
  to->set_max_usage(from.max_usage);
  to->set_swap_max_usage(from.swap_max_usage);
  if (from.psi) Fill(*from.psi, to->mutable_psi());
}

void Fill(const runtime::IoStatsV2& from, v2::IOStat* to) {
  for (const runtime::IoEntryV2& one : from.usage) {
    v2::IOEntry* entry = to->add_usage();
    entry->set_major(one.major);
    entry->set_minor(one.minor);
    entry->set_rbytes(one.rbytes);
    entry->set_wbytes(one.wbytes);
    entry->set_rios(one.rios);
    entry->set_wios(one.wios);
  }
  if (from.psi) Fill(*from.psi, to->mutable_psi());
}

std::string MetricsOf(const runtime::StatsV2& stats) {
  v2::Metrics metrics;
  FillCommon(stats.pids, stats.rdma, &metrics);
  if (stats.cpu) Fill(*stats.cpu, metrics.mutable_cpu());
  if (stats.memory) Fill(*stats.memory, metrics.mutable_memory());
  if (stats.io) Fill(*stats.io, metrics.mutable_io());
  for (const runtime::HugetlbStats& one : stats.hugetlb) {
    v2::HugeTlbStat* entry = metrics.add_hugetlb();
    entry->set_current(one.usage);
    entry->set_max(one.max);
    entry->set_failcnt(one.failcnt);
    entry->set_pagesize(one.page_size);
  }
  if (stats.memory_events) {
    const runtime::MemoryEventsV2& from = *stats.memory_events;
    v2::MemoryEvents* to = metrics.mutable_memory_events();
    to->set_low(from.low);
    to->set_high(from.high);
    to->set_max(from.max);
    to->set_oom(from.oom);
    to->set_oom_kill(from.oom_kill);
    to->set_oom_group_kill(from.oom_group_kill);
  }
  return metrics.SerializeAsString();
}

}  // namespace

Any StatsToAny(const runtime::CgroupStats& stats) {
  if (stats.version == runtime::CgroupVersion::kV1) {
    return {"io.containerd.cgroups.v1.Metrics", MetricsOf(stats.v1)};
  }
  return {"io.containerd.cgroups.v2.Metrics", MetricsOf(stats.v2)};
}

}  // namespace gantry::shim
