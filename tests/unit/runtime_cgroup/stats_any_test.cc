// The hand-written encoding of metrics, read back by the messages of the contract.
#include "runtime/cgroup/stats_any.h"

#include <gtest/gtest.h>

#include "proto/io/containerd/cgroups/v1/metrics.pb.h"
#include "proto/io/containerd/cgroups/v2/metrics.pb.h"

namespace gantry::runtime {
namespace {

namespace v1 = ::io::containerd::cgroups::v1;
namespace v2 = ::io::containerd::cgroups::v2;

template <typename Message>
Message Decode(const CgroupStats& stats) {
  const Any any = StatsToAny(stats);
  Message message;
  EXPECT_EQ(any.type_url, message.GetTypeName());
  EXPECT_TRUE(message.ParseFromString(any.value));
  return message;
}

TEST(StatsAnyTest, MetricsOfV1HoldEveryPart) {
  CgroupStats stats;
  stats.v1.hugetlb = {{.page_size = "2MB", .usage = 1, .max = 2, .failcnt = 3}};
  stats.v1.pids = PidsStats{.current = 4, .limit = 5};
  stats.v1.cpu = CpuStatsV1{.total = 6,
                            .kernel = 7,
                            .user = 8,
                            .per_cpu = {0, 300, 1},
                            .periods = 9,
                            .throttled_periods = 10,
                            .throttled_time = 11};
  MemoryStatsV1 memory;
  memory.cache = 12;
  memory.pg_maj_fault = 13;
  memory.unevictable = 14;
  memory.hierarchical_swap_limit = UINT64_MAX;
  memory.total_unevictable = 15;
  memory.usage = {16, 17, 18, 19};
  memory.swap = MemoryEntryV1{20, 21, 22, 23};
  memory.kernel_tcp = MemoryEntryV1{24, 25, 26, 27};
  stats.v1.memory = memory;
  stats.v1.memory_oom_control = OomControlV1{28, 29, 30};
  stats.v1.blkio = BlkioStatsV1{};
  stats.v1.blkio->io_service_bytes_recursive = {{"Read", "/dev/vda", 254, 0, 31}};
  stats.v1.blkio->sectors_recursive = {{"", "", 254, 1, 32}};
  stats.v1.rdma = RdmaStats{.current = {{"mlx", 33, 34}}, .limit = {{"mlx", 35, 36}}};
  const auto metrics = Decode<v1::Metrics>(stats);
  EXPECT_EQ(metrics.hugetlb(0).pagesize(), "2MB");
  EXPECT_EQ(metrics.hugetlb(0).failcnt(), 3u);
  EXPECT_EQ(metrics.pids().limit(), 5u);
  EXPECT_EQ(metrics.cpu().usage().user(), 8u);
  ASSERT_EQ(metrics.cpu().usage().per_cpu_size(), 3);
  EXPECT_EQ(metrics.cpu().usage().per_cpu(1), 300u);
  EXPECT_EQ(metrics.cpu().throttling().throttled_time(), 11u);
  EXPECT_EQ(metrics.memory().cache(), 12u);
  EXPECT_EQ(metrics.memory().pg_maj_fault(), 13u);
  EXPECT_EQ(metrics.memory().unevictable(), 14u);
  EXPECT_EQ(metrics.memory().hierarchical_swap_limit(), UINT64_MAX);
  EXPECT_EQ(metrics.memory().total_unevictable(), 15u);
  EXPECT_EQ(metrics.memory().usage().failcnt(), 19u);
  EXPECT_EQ(metrics.memory().swap().usage(), 21u);
  EXPECT_FALSE(metrics.memory().has_kernel());
  EXPECT_EQ(metrics.memory().kernel_tcp().limit(), 24u);
  EXPECT_EQ(metrics.memory_oom_control().oom_kill(), 30u);
  EXPECT_EQ(metrics.blkio().io_service_bytes_recursive(0).device(), "/dev/vda");
  EXPECT_EQ(metrics.blkio().sectors_recursive(0).value(), 32u);
  EXPECT_EQ(metrics.rdma().limit(0).hca_objects(), 36u);
}

TEST(StatsAnyTest, MetricsOfV2HoldEveryPart) {
  CgroupStats stats;
  stats.version = CgroupVersion::kV2;
  stats.v2.pids = PidsStats{.current = 1, .limit = 2};
  stats.v2.cpu = CpuStatsV2{.usage_usec = 3, .throttled_usec = 4, .nr_bursts = 5, .burst_usec = 6};
  stats.v2.cpu->psi = PsiStats{.some = {.avg10 = 0.5, .avg60 = 1.5, .avg300 = 2.5, .total = 7}};
  MemoryStatsV2 memory;
  memory.anon = 8;
  memory.thp_collapse_alloc = 9;
  memory.swap_max_usage = 10;
  stats.v2.memory = memory;
  stats.v2.memory_events = MemoryEventsV2{11, 12, 13, 14, 15, 16};
  stats.v2.io = IoStatsV2{.usage = {{254, 0, 17, 18, 19, 20}}};
  stats.v2.hugetlb = {{.page_size = "1GB", .usage = 21, .max = 22, .failcnt = 23}};
  const auto metrics = Decode<v2::Metrics>(stats);
  EXPECT_EQ(metrics.pids().limit(), 2u);
  EXPECT_EQ(metrics.cpu().throttled_usec(), 4u);
  EXPECT_EQ(metrics.cpu().burst_usec(), 6u);
  EXPECT_EQ(metrics.cpu().psi().some().avg60(), 1.5);
  EXPECT_EQ(metrics.cpu().psi().some().total(), 7u);
  EXPECT_EQ(metrics.memory().thp_collapse_alloc(), 9u);
  EXPECT_EQ(metrics.memory().swap_max_usage(), 10u);
  EXPECT_EQ(metrics.memory_events().oom_group_kill(), 16u);
  EXPECT_EQ(metrics.io().usage(0).wios(), 20u);
  EXPECT_EQ(metrics.hugetlb(0).current(), 21u);
  EXPECT_EQ(metrics.hugetlb(0).failcnt(), 23u);
}

TEST(StatsAnyTest, WhatIsAbsentStaysAbsent) {
  const auto metrics = Decode<v1::Metrics>(CgroupStats{});
  EXPECT_FALSE(metrics.has_memory());
  EXPECT_EQ(metrics.ByteSizeLong(), 0u);
}

}  // namespace
}  // namespace gantry::runtime
