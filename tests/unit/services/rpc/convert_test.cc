#include "services/rpc/convert.h"

#include <gtest/gtest.h>

#include "proto/containerd/events/namespace.pb.h"

namespace gantry::rpc {
namespace {

TEST(ConvertTest, TimestampsSurviveExactly) {
  for (const WallTime wall : {WallTime{-62135596800, 0}, WallTime{0, 1}, WallTime{-1, 999999999},
                              WallTime{253402300799, 999999999}}) {
    google::protobuf::Timestamp first;
    ToProto(wall, &first);
    google::protobuf::Timestamp second;
    ToProto(ToTime(first), &second);
    EXPECT_EQ(ToWallTime(second), wall) << wall.seconds;
  }
}

TEST(ConvertTest, LabelsAndAnysSurvive) {
  const Labels labels = {{"a", "1"}, {"b/c", "d"}};
  containerd::events::NamespaceCreate message;
  ToProto(labels, message.mutable_labels());
  EXPECT_EQ(ToLabels(message.labels()), labels);
  (*message.mutable_labels())["to be removed"] = "";
  EXPECT_EQ(ToLabels(message.labels()), labels);

  const Any any{"types.containerd.io/x", std::string("\0\xff", 2)};
  google::protobuf::Any proto;
  ToProto(any, &proto);
  EXPECT_EQ(ToAny(proto), any);
}

TEST(ConvertTest, APackedMessageIsNamedWithoutAPrefix) {
  containerd::events::NamespaceCreate message;
  message.set_name("n");
  const Any any = PackAny(message);
  EXPECT_EQ(any.type_url, "containerd.events.NamespaceCreate");
  containerd::events::NamespaceCreate back;
  ASSERT_TRUE(back.ParseFromString(any.value));
  EXPECT_EQ(back.name(), "n");
}

}  // namespace
}  // namespace gantry::rpc
