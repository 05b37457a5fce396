#include "services/events/envelope_convert.h"

#include <gtest/gtest.h>

#include "proto/containerd/events/container.pb.h"
#include "proto/containerd/events/task.pb.h"

namespace gantry::events {
namespace {

std::optional<std::string> Field(const google::protobuf::Message& event,
                                 const std::vector<std::string>& path) {
  return DecodeEventField({.type_url = event.GetTypeName(), .value = event.SerializeAsString()},
                          path);
}

TEST(EnvelopeConvertTest, AnEnvelopeGoesToProtoAndBack) {
  const Envelope envelope = {.timestamp = absl::FromUnixNanos(1234567890123456789),
                             .ns = "n",
                             .topic = "/a/b",
                             .event = {.type_url = "x.Y", .value = std::string("\0\1", 2)}};
  containerd::types::Envelope proto;
  ToProto(envelope, &proto);
  const Envelope back = FromProto(proto);
  EXPECT_EQ(back.timestamp, envelope.timestamp);
  EXPECT_EQ(back.ns, envelope.ns);
  EXPECT_EQ(back.topic, envelope.topic);
  EXPECT_EQ(back.event, envelope.event);
}

TEST(EnvelopeConvertTest, AMissingTimestampIsNotTakenForATime) {
  EXPECT_EQ(FromProto({}).timestamp, absl::InfinitePast());
}

TEST(EnvelopeConvertTest, FieldsOfAnEventAreReadByName) {
  containerd::events::TaskExit exit;
  exit.set_container_id("c1");
  exit.set_exit_status(7);
  EXPECT_EQ(Field(exit, {"container_id"}), "c1");
  EXPECT_EQ(Field(exit, {"exit_status"}), "7");
  EXPECT_EQ(Field(exit, {"id"}), std::nullopt);
  EXPECT_EQ(Field(exit, {"no_such"}), std::nullopt);
  EXPECT_EQ(Field(exit, {"container_id", "deeper"}), std::nullopt);
}

TEST(EnvelopeConvertTest, NestedMessagesAndMapsAreReadByPath) {
  containerd::events::ContainerCreate create;
  create.mutable_runtime()->set_name("io.containerd.runc.v2");
  EXPECT_EQ(Field(create, {"runtime", "name"}), "io.containerd.runc.v2");
  containerd::events::ContainerUpdate update;
  (*update.mutable_labels())["a.b/c"] = "v";
  EXPECT_EQ(Field(update, {"labels", "a.b/c"}), "v");
  EXPECT_EQ(Field(update, {"labels", "a", "b/c"}), "v");
  EXPECT_EQ(Field(update, {"labels", "other"}), std::nullopt);
}

TEST(EnvelopeConvertTest, AnEventOfAnUnknownTypeHasNoFields) {
  const std::vector<std::string> path = {"x"};
  EXPECT_EQ(DecodeEventField({.type_url = "no.such.Type", .value = "v"}, path), std::nullopt);
  EXPECT_EQ(DecodeEventField({.type_url = "containerd.events.TaskExit", .value = "\xff"}, path),
            std::nullopt);
}

}  // namespace
}  // namespace gantry::events
