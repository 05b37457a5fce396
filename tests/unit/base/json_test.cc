#include "base/json.h"

#include <gtest/gtest.h>

namespace gantry {
namespace {

TEST(JsonTest, WhatIsNotJsonIsAnErrorThatNamesTheThing) {
  const auto parsed = ParseJson("{\"a\":", "config.json");
  ASSERT_FALSE(parsed.ok());
  EXPECT_NE(parsed.status().message().find("config.json"), absl::string_view::npos);
}

TEST(JsonTest, DepthIsBounded) {
  EXPECT_TRUE(ParseJson(std::string(128, '[') + std::string(128, ']'), "x").ok());
  EXPECT_FALSE(ParseJson(std::string(129, '[') + std::string(129, ']'), "x").ok());
  EXPECT_FALSE(ParseJson(std::string(1000000, '['), "x").ok());
}

TEST(JsonTest, BracketsInStringsDoNotCount) {
  EXPECT_TRUE(ParseJson("\"" + std::string(500, '[') + "\\\"" + "\"", "x").ok());
}

TEST(JsonTest, BytesThatAreNoTextDoNotThrow) { EXPECT_FALSE(DumpJson(Json("\xff\xfe")).empty()); }

}  // namespace
}  // namespace gantry
