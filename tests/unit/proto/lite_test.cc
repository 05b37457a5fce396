// What the shim links: lite messages, the well-known types among them, without the full runtime.
#include <gtest/gtest.h>

#include <string>
#include <type_traits>

#include "google/protobuf/any.pb.h"
#include "google/protobuf/message_lite.h"
#include "google/protobuf/timestamp.pb.h"
#include "proto/containerd/events/task.pb.h"
#include "proto/containerd/runc/v1/oci.pb.h"
#include "proto/containerd/services/events/ttrpc/v1/events.pb.h"
#include "proto/containerd/task/v2/shim.pb.h"
#include "proto/io/containerd/cgroups/v1/metrics.pb.h"
#include "proto/io/containerd/cgroups/v2/metrics.pb.h"

namespace gantry {
namespace {

using google::protobuf::Any;
using google::protobuf::MessageLite;

// Only messages of the full runtime have a descriptor.
template <class T>
concept Full = requires {
  T::descriptor();
};

TEST(LiteProtoTest, HasNoDescriptorsNotEvenOfWellKnownTypes) {
  static_assert(std::is_base_of_v<MessageLite, containerd::task::v2::CreateTaskRequest>);
  EXPECT_FALSE(Full<containerd::task::v2::CreateTaskRequest>);
  EXPECT_FALSE(Full<Any>);
  EXPECT_FALSE(Full<google::protobuf::Timestamp>);
  EXPECT_FALSE(Full<io::containerd::cgroups::v1::Metrics>);
  EXPECT_FALSE(Full<io::containerd::cgroups::v2::Metrics>);
}

TEST(LiteProtoTest, ACreateRequestWithOptionsComesBackAsItWas) {
  containerd::runc::v1::Options options;
  options.set_systemd_cgroup(true);
  containerd::task::v2::CreateTaskRequest request;
  request.set_id("web");
  request.set_bundle("/run/bundle/web");
  request.add_rootfs()->add_options("ro");
  // Bare, without the prefix of googleapis, which is how Go peers write it.
  request.mutable_options()->set_type_url("containerd.runc.v1.Options");
  request.mutable_options()->set_value(options.SerializeAsString());

  containerd::task::v2::CreateTaskRequest back;
  ASSERT_TRUE(back.ParseFromString(request.SerializeAsString()));
  EXPECT_EQ(back.id(), "web");
  EXPECT_EQ(back.bundle(), "/run/bundle/web");
  ASSERT_EQ(back.rootfs_size(), 1);
  EXPECT_EQ(back.rootfs(0).options(0), "ro");
  EXPECT_EQ(back.options().type_url(), "containerd.runc.v1.Options");
  containerd::runc::v1::Options options_back;
  ASSERT_TRUE(options_back.ParseFromString(back.options().value()));
  EXPECT_TRUE(options_back.systemd_cgroup());
}

TEST(LiteProtoTest, AnExitInAnEnvelopeIsTheBytesThatPeersRead) {
  containerd::events::TaskExit exit;
  exit.set_container_id("c");
  exit.set_exit_status(137);
  exit.mutable_exited_at()->set_seconds(1);
  const std::string exit_bytes(
      "\x0a\x01"
      "c"
      "\x20\x89\x01"
      "\x2a\x02\x08\x01",
      10);
  EXPECT_EQ(exit.SerializeAsString(), exit_bytes);

  containerd::services::events::ttrpc::v1::ForwardRequest request;
  request.mutable_envelope()->set_topic("/t");
  request.mutable_envelope()->mutable_event()->set_type_url("T");
  request.mutable_envelope()->mutable_event()->set_value(exit_bytes);
  EXPECT_EQ(request.SerializeAsString(), std::string("\x0a\x15"
                                                     "\x1a\x02/t"
                                                     "\x22\x0f"
                                                     "\x0a\x01T"
                                                     "\x12\x0a",
                                                     13) +
                                             exit_bytes);
}

}  // namespace
}  // namespace gantry
