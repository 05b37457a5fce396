#include "runtime/cgroup/device_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gantry::runtime {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

std::vector<std::string> Texts(const DevicePolicy& policy) {
  std::vector<std::string> texts;
  for (const DeviceRule& rule : policy.exceptions) texts.push_back(DeviceRuleText(rule));
  return texts;
}

TEST(DevicePolicyTest, NoRulesAllowWhatRuncAlwaysAllows) {
  const auto policy = BuildDevicePolicy({});
  ASSERT_TRUE(policy.ok());
  EXPECT_FALSE(policy->allow_by_default);
  EXPECT_THAT(Texts(*policy),
              ElementsAre("c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm",
                          "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 10:200 rwm", "c 136:* rwm"));
}

TEST(DevicePolicyTest, ALaterRuleWins) {
  const auto policy = BuildDevicePolicy({{true, "a"},
                                         {false, "a"},
                                         {true, "c", 10, 229, "r"},
                                         {true, "c", 10, 229, "w"},
                                         {true, "b", 8, 0, "rw"},
                                         {false, "b", 8, 0, "w"},
                                         {true, "b", 8, 16, "r"},
                                         {false, "b", 8, std::nullopt, "r"}});
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_THAT(Texts(*policy), Contains("c 10:229 rw"));
  EXPECT_THAT(Texts(*policy), Not(Contains(testing::StartsWith("b 8"))));
}

TEST(DevicePolicyTest, AllowingAllForgetsTheExceptionsBefore) {
  const auto policy = BuildDevicePolicy({{true, "c", 1, 11, "r"}, {true, "a"}});
  ASSERT_TRUE(policy.ok());
  EXPECT_TRUE(policy->allow_by_default);
  EXPECT_TRUE(policy->exceptions.empty());
}

TEST(DevicePolicyTest, AnyTypeWithPartOfTheAccessIsNotEverything) {
  const auto policy = BuildDevicePolicy({{true, "a", std::nullopt, std::nullopt, "r"}});
  ASSERT_TRUE(policy.ok());
  EXPECT_FALSE(policy->allow_by_default);
  EXPECT_THAT(Texts(*policy), Contains("c *:* rm"));
  EXPECT_THAT(Texts(*policy), Contains("b *:* rm"));
}

TEST(DevicePolicyTest, AHoleInAWildcardIsRefused) {
  const auto policy = BuildDevicePolicy({{true, "c", 1, std::nullopt, "rwm"}, {false, "c", 1, 11}});
  EXPECT_TRUE(absl::IsInvalidArgument(policy.status()));
  EXPECT_THAT(std::string(policy.status().message()),
              testing::HasSubstr("linux.resources.devices[1]"));
}

TEST(DevicePolicyTest, TheKernelsListReadsBack) {
  EXPECT_TRUE(ParseDevicesList("a *:* rwm\n").allow_by_default);
  EXPECT_THAT(Texts(ParseDevicesList("b *:* m\nc 1:3 rwm\nc 136:* rw\n")),
              ElementsAre("b *:* m", "c 1:3 rwm", "c 136:* rw"));
}

}  // namespace
}  // namespace gantry::runtime
