#include "services/metrics/container_families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/metrics/task_families.h"
#include "tests/unit/services/metrics/containerd_names.h"

namespace gantry::metrics {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;
using testing::UnorderedElementsAreArray;

template <typename Stats>
std::vector<std::string> NamesOf(const std::vector<ContainerFamily<Stats>>& families) {
  std::vector<std::string> names;
  for (const auto& family : families) names.push_back(family.name);
  return names;
}

TEST(ContainerFamiliesTest, TheNamesAreContainerds) {
  EXPECT_THAT(NamesOf(FamiliesV1()), UnorderedElementsAreArray(kContainerdNamesV1));
  EXPECT_THAT(NamesOf(FamiliesV2()), UnorderedElementsAreArray(kContainerdNamesV2));
}

// "name{label="value",...} number" of each value, labels in order.
std::vector<std::string> Lines(const prometheus::MetricFamily& family) {
  std::vector<std::string> lines;
  for (const prometheus::ClientMetric& metric : family.metric) {
    std::string line = family.name + "{";
    for (const auto& label : metric.label) line += label.name + "=" + label.value + ",";
    lines.push_back(line + "} " + std::to_string(static_cast<int64_t>(metric.gauge.value)));
  }
  return lines;
}

std::vector<std::string> Told(const std::vector<tasks::ContainerStats>& containers,
                              const std::string& prefix) {
  std::vector<std::string> lines;
  WriteContainerFamilies(containers, [&](prometheus::MetricFamily family) {
    if (family.name.rfind(prefix, 0) != 0) return;
    EXPECT_FALSE(family.help.empty()) << family.name;
    for (std::string& line : Lines(family)) lines.push_back(std::move(line));
  });
  return lines;
}

tasks::ContainerStats V1(const std::string& ns, const std::string& id) {
  tasks::ContainerStats container{ns, id, "io.containerd.runc.v2", {}};
  container.stats.version = runtime::CgroupVersion::kV1;
  return container;
}

TEST(ContainerFamiliesTest, EachContainerIsOneValueOfAFamilyThatIsToldOnce) {
  std::vector<tasks::ContainerStats> containers = {V1("a", "c1"), V1("b", "c1")};
  containers[0].stats.v1.pids = runtime::PidsStats{3, 10};
  containers[1].stats.v1.pids = runtime::PidsStats{4, 0};
  size_t families = 0;
  WriteContainerFamilies(containers, [&](const prometheus::MetricFamily&) { ++families; });
  EXPECT_EQ(families, 2u);
  EXPECT_THAT(
      Told(containers, "container_pids"),
      UnorderedElementsAre(
          "container_pids_limit{container_id=c1,namespace=a,runtime=io.containerd.runc.v2,} 10",
          "container_pids_limit{container_id=c1,namespace=b,runtime=io.containerd.runc.v2,} 0",
          "container_pids_current{container_id=c1,namespace=a,runtime=io.containerd.runc.v2,} 3",
          "container_pids_current{container_id=c1,namespace=b,runtime=io.containerd.runc.v2,} 4"));
}

TEST(ContainerFamiliesTest, WhatTheHostDoesNotCountIsLeftOut) {
  EXPECT_THAT(Told({V1("a", "c1")}, ""), IsEmpty());
}

TEST(ContainerFamiliesTest, ValuesByCpuAndByDeviceHaveLabelsOfTheirOwn) {
  tasks::ContainerStats container = V1("a", "c1");
  container.runtime.clear();
  container.stats.v1.cpu = runtime::CpuStatsV1{.per_cpu = {7, 8}};
  container.stats.v1.blkio =
      runtime::BlkioStatsV1{.io_service_bytes_recursive = {{"Read", "/dev/vda", 8, 0, 512}}};
  EXPECT_THAT(
      Told({container}, "container_per_cpu"),
      UnorderedElementsAre("container_per_cpu_nanoseconds{container_id=c1,namespace=a,cpu=0,} 7",
                           "container_per_cpu_nanoseconds{container_id=c1,namespace=a,cpu=1,} 8"));
  EXPECT_THAT(Told({container}, "container_blkio"),
              UnorderedElementsAre("container_blkio_io_service_bytes_recursive_bytes{"
                                   "container_id=c1,namespace=a,op=Read,device=/dev/vda,"
                                   "major=8,minor=0,} 512"));
}

TEST(ContainerFamiliesTest, EveryLineOfMemoryIsReadFromItsOwnField) {
  // Distinct numbers, so that no two names can be swapped without notice.
  tasks::ContainerStats container = V1("a", "c1");
  runtime::MemoryStatsV1 memory;
  memory.pg_fault = 1;
  memory.total_pg_fault = 2;
  memory.hierarchical_swap_limit = 3;
  memory.usage = {.limit = 4, .usage = 5, .max = 6, .failcnt = 7};
  memory.swap = runtime::MemoryEntryV1{.limit = 8, .usage = 9, .max = 10, .failcnt = 11};
  container.stats.v1.memory = memory;
  const std::string at = "{container_id=c1,namespace=a,runtime=io.containerd.runc.v2,} ";
  const std::vector<std::string> told = Told({container}, "container_memory_");
  for (const char* line :
       {"container_memory_pgfault_bytes|1", "container_memory_total_pgfault_bytes|2",
        "container_memory_hierarchical_memsw_limit_bytes|3", "container_memory_usage_limit_bytes|4",
        "container_memory_usage_usage_bytes|5", "container_memory_usage_max_bytes|6",
        "container_memory_usage_failcnt_total|7", "container_memory_swap_limit_bytes|8",
        "container_memory_swap_usage_bytes|9", "container_memory_swap_max_bytes|10",
        "container_memory_swap_failcnt_total|11"}) {
    std::string wanted = line;
    wanted.replace(wanted.find('|'), 1, at);
    EXPECT_THAT(told, testing::Contains(wanted));
  }
  EXPECT_THAT(told, testing::Not(testing::Contains(testing::HasSubstr("memory_kernel_limit"))));
}

TEST(ContainerFamiliesTest, CgroupV2HasItsOwnFamilies) {
  tasks::ContainerStats container{"a", "c1", "", {}};
  container.stats.version = runtime::CgroupVersion::kV2;
  container.stats.v2.cpu = runtime::CpuStatsV2{.usage_usec = 12, .user_usec = 5};
  container.stats.v2.io = runtime::IoStatsV2{.usage = {{8, 0, 1, 2, 3, 4}}};
  container.stats.v2.memory_events = runtime::MemoryEventsV2{.oom = 6};
  EXPECT_THAT(
      Told({container}, "container_cpu_u"),
      UnorderedElementsAre("container_cpu_usage_usec_microseconds{container_id=c1,namespace=a,} 12",
                           "container_cpu_user_usec_microseconds{container_id=c1,namespace=a,} 5"));
  EXPECT_THAT(Told({container}, "container_io_w"),
              UnorderedElementsAre(
                  "container_io_wbytes_bytes{container_id=c1,namespace=a,major=8,minor=0,} 2",
                  "container_io_wios_total{container_id=c1,namespace=a,major=8,minor=0,} 4"));
  EXPECT_THAT(Told({container}, "container_memory"),
              UnorderedElementsAre("container_memory_oom_total{container_id=c1,namespace=a,} 6"));
}

TEST(TaskFamiliesTest, EveryStatusIsToldAlsoWithoutTasks) {
  tasks::TaskCounts counts;
  counts.tasks[static_cast<size_t>(tasks::Status::kRunning)] = 2;
  counts.shims = 3;
  std::vector<std::string> lines;
  WriteTaskFamilies(counts, [&](const prometheus::MetricFamily& family) {
    for (std::string& line : Lines(family)) lines.push_back(std::move(line));
  });
  EXPECT_THAT(lines, UnorderedElementsAre(
                         "gantry_tasks{status=unknown,} 0", "gantry_tasks{status=created,} 0",
                         "gantry_tasks{status=running,} 2", "gantry_tasks{status=stopped,} 0",
                         "gantry_tasks{status=paused,} 0", "gantry_tasks{status=pausing,} 0",
                         "gantry_shims{} 3"));
}

}  // namespace
}  // namespace gantry::metrics
