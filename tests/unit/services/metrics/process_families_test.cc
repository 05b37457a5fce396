#include "services/metrics/process_families.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "absl/time/clock.h"

namespace gantry::metrics {
namespace {

TEST(ProcessStatTest, ANameWithParenthesesAndSpacesIsPassedOver) {
  const auto stat = ParseProcessStat(
      "42 (a) S (b c) R 1 42 42 0 -1 4194560 7 0 0 0 11 22 0 0 20 0 33 0 44 5500 66 "
      "18446744073709551615 1 1 0\n");
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_EQ(stat->cpu_ticks, 33u);
  EXPECT_EQ(stat->threads, 33u);
  EXPECT_EQ(stat->start_ticks, 44u);
  EXPECT_EQ(stat->virtual_bytes, 5500u);
  EXPECT_EQ(stat->resident_pages, 66u);
}

TEST(ProcessStatTest, WhatIsCutOffIsRefused) {
  EXPECT_TRUE(absl::IsDataLoss(ParseProcessStat("").status()));
  EXPECT_TRUE(absl::IsDataLoss(ParseProcessStat("42 (a) S 1 42").status()));
}

TEST(ProcessFamiliesTest, TheyAreOfThisProcess) {
  std::map<std::string, double> values;
  WriteProcessFamilies([&](const prometheus::MetricFamily& family) {
    ASSERT_EQ(family.metric.size(), 1u) << family.name;
    values[family.name] = family.metric[0].gauge.value;
  });
  EXPECT_GE(values.at("process_threads"), 1);
  EXPECT_GT(values.at("process_open_fds"), 2);
  EXPECT_LE(values.at("process_open_fds"), values.at("process_max_fds"));
  EXPECT_GT(values.at("process_resident_memory_bytes"), 4096);
  EXPECT_GE(values.at("process_virtual_memory_bytes"), values.at("process_resident_memory_bytes"));
  // It began before now, and not before this year's kernel could have been started.
  const auto now = static_cast<double>(absl::ToUnixSeconds(absl::Now()));
  EXPECT_LE(values.at("process_start_time_seconds"), now + 2);
  EXPECT_GT(values.at("process_start_time_seconds"), now - 3600);
  EXPECT_TRUE(values.contains("process_cpu_seconds_total"));
  EXPECT_TRUE(values.contains("process_virtual_memory_max_bytes"));
}

}  // namespace
}  // namespace gantry::metrics
