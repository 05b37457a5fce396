#include "services/metadata/codec.h"

#include <gtest/gtest.h>

#include "base/time.h"

namespace gantry::metadata {
namespace {

TEST(CodecTest, TimesOfAllYearsSurvive) {
  // Year 1 is Go's "no time"; the last is before 1970 with a fraction.
  for (const WallTime wall : {WallTime{1764000000, 123456789}, WallTime{-62135596800, 0},
                              WallTime{0, 0}, WallTime{-1, 999999999}}) {
    WireWriter writer;
    PutTime(writer, 7, FromWallTime(wall));
    const std::string bytes = writer.Take();
    WireReader reader(bytes);
    ASSERT_TRUE(reader.Next());
    EXPECT_EQ(reader.field(), 7u);
    EXPECT_EQ(ToWallTime(GetTime(reader)), wall) << wall.seconds;
  }
}

TEST(CodecTest, AnysAreKeptByteForByte) {
  const Any any{"types.containerd.io/x", std::string("\0\xff{}", 4)};
  WireWriter writer;
  PutAny(writer, 3, any);
  PutAny(writer, 4, Any{});
  const std::string bytes = writer.Take();
  WireReader reader(bytes);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(GetAny(reader.bytes()), any);
  EXPECT_FALSE(reader.Next()) << "an empty one takes no room";
  EXPECT_TRUE(reader.status().ok());
}

TEST(CodecTest, LabelsWithEmptyValuesSurvive) {
  const Labels labels = {{"a", ""}, {"b/c.d", "e"}};
  WireWriter writer;
  PutLabels(writer, 1, labels);
  const std::string bytes = writer.Take();
  WireReader reader(bytes);
  Labels read;
  while (reader.Next()) read.insert(reader.map_entry());
  EXPECT_EQ(read, labels);
}

}  // namespace
}  // namespace gantry::metadata
