#include "base/wire.h"

#include <gtest/gtest.h>

namespace gantry {
namespace {

TEST(WireTest, WhatIsWrittenIsRead) {
  WireWriter writer;
  writer.Uint(1, 300);
  writer.Bytes(2, "name");
  writer.MapEntry(3, "k", "v");
  writer.Int(4, -1);
  writer.Bytes(5, "");
  WireReader reader(writer.bytes());
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.uint(), 300u);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.bytes(), "name");
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.map_entry(), (std::pair<std::string, std::string>("k", "v")));
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.integer(), -1);
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.status().ok());
}

TEST(WireTest, TheBytesAreThoseOfTheFormat) {
  WireWriter writer;
  writer.Uint(1, 150);
  EXPECT_EQ(writer.bytes(), std::string("\x08\x96\x01"));
}

TEST(WireTest, AnElementOpenedWithItsSizeIsTheOneWrittenWhole) {
  for (const size_t size : {0u, 1u, 127u, 128u, 20000u}) {
    const std::string value(size, 'x');
    WireWriter nested;
    nested.Element(2, value);
    WireWriter whole;
    whole.Element(70, nested.bytes());
    WireWriter opened;
    const size_t inner = WireWriter::ElementSize(2, size);
    opened.Open(70, inner);
    opened.Element(2, value);
    EXPECT_EQ(opened.bytes(), whole.bytes());
    EXPECT_EQ(WireWriter::ElementSize(70, inner), whole.bytes().size());
  }
}

TEST(WireTest, EveryCutOfAMessageIsAnErrorOrAShorterMessage) {
  WireWriter writer;
  writer.Uint(1, 1u << 20);
  writer.Bytes(2, "abcdef");
  const std::string whole = writer.bytes();
  int broken = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    WireReader reader(absl::string_view(whole).substr(0, size));
    while (reader.Next()) {
    }
    broken += reader.status().ok() ? 0 : 1;
  }
  EXPECT_EQ(broken, static_cast<int>(whole.size()) -
                        2);  // all but the empty one and that between the fields
}

TEST(WireTest, ALengthBeyondTheEndIsRefused) {
  WireReader reader(absl::string_view("\x12\xff\xff\xff\xff\x0f", 6));
  EXPECT_FALSE(reader.Next());
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace gantry
