// Events through the daemon: subscribers, publishers, and shims' forwards over ttrpc.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "absl/time/clock.h"
#include "base/file.h"
#include "proto/containerd/events/task.pb.h"
#include "proto/containerd/services/events/v1/events.grpc.pb.h"
#include "proto/containerd/services/namespaces/v1/namespace.grpc.pb.h"
#include "tests/support/daemon_process.h"

namespace gantry::test {
namespace {

namespace pb = containerd::services::events::v1;
using containerd::types::Envelope;
using testing::HasSubstr;

class EventsTest : public testing::Test {
 protected:
  struct Stream {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReader<Envelope>> reader;
  };

  void SetUp() override {
    auto started = DaemonProcess::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
    stub_ = pb::Events::NewStub(daemon_->Channel());
  }

  // Returns once the daemon has subscribed: its headers say so.
  std::unique_ptr<Stream> Subscribe(const std::vector<std::string>& filters) {
    auto stream = std::make_unique<Stream>();
    stream->context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    pb::SubscribeRequest request;
    for (const std::string& filter : filters) request.add_filters(filter);
    stream->reader = stub_->Subscribe(&stream->context, request);
    stream->reader->WaitForInitialMetadata();
    return stream;
  }

  grpc::Status Publish(const std::string& ns, const std::string& topic, const std::string& id) {
    grpc::ClientContext context;
    if (!ns.empty()) context.AddMetadata("containerd-namespace", ns);
    containerd::events::TaskOOM event;
    event.set_container_id(id);
    pb::PublishRequest request;
    request.set_topic(topic);
    request.mutable_event()->set_type_url("containerd.events.TaskOOM");
    request.mutable_event()->set_value(event.SerializeAsString());
    google::protobuf::Empty response;
    return stub_->Publish(&context, request, &response);
  }

  std::unique_ptr<DaemonProcess> daemon_;
  std::unique_ptr<pb::Events::Stub> stub_;
};

TEST_F(EventsTest, APublishedEventReachesASubscriberWithItsNamespaceAndTime) {
  const auto stream = Subscribe({});
  ASSERT_TRUE(Publish("n1", "/tasks/oom", "c1").ok());
  Envelope envelope;
  ASSERT_TRUE(stream->reader->Read(&envelope));
  EXPECT_EQ(envelope.namespace_(), "n1");
  EXPECT_EQ(envelope.topic(), "/tasks/oom");
  EXPECT_EQ(envelope.event().type_url(), "containerd.events.TaskOOM");
  EXPECT_GT(envelope.timestamp().seconds(), absl::ToUnixSeconds(absl::Now()) - 60);
}

TEST_F(EventsTest, FiltersLookAtNamespaceTopicAndFields) {
  const auto stream = Subscribe({"namespace==moby,topic~=|^/tasks/|,event.container_id==c2"});
  ASSERT_TRUE(Publish("other", "/tasks/oom", "c2").ok());
  ASSERT_TRUE(Publish("moby", "/images/x", "c2").ok());
  ASSERT_TRUE(Publish("moby", "/tasks/oom", "c1").ok());
  ASSERT_TRUE(Publish("moby", "/tasks/last", "c2").ok());
  Envelope envelope;
  ASSERT_TRUE(stream->reader->Read(&envelope));
  EXPECT_EQ(envelope.topic(), "/tasks/last");
}

TEST_F(EventsTest, ABrokenFilterEndsTheStreamWithInvalidArgument) {
  const auto stream = Subscribe({"topic~=|"});
  Envelope envelope;
  EXPECT_FALSE(stream->reader->Read(&envelope));
  EXPECT_EQ(stream->reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(EventsTest, ABadTopicAndAMissingNamespaceAreRefused) {
  const grpc::Status topic = Publish("n", "tasks", "c");
  EXPECT_EQ(topic.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(topic.error_message(), HasSubstr("must begin with '/'"));
  EXPECT_EQ(Publish("", "/tasks/oom", "c").error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(EventsTest, AForwardedEventKeepsItsNamespaceAndTime) {
  const auto stream = Subscribe({});
  grpc::ClientContext context;
  pb::ForwardRequest request;
  request.mutable_envelope()->mutable_timestamp()->set_seconds(12345);
  request.mutable_envelope()->set_namespace_("far");
  request.mutable_envelope()->set_topic("/a/b");
  request.mutable_envelope()->mutable_event()->set_type_url("x.Y");
  google::protobuf::Empty response;
  const grpc::Status status = stub_->Forward(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  Envelope envelope;
  ASSERT_TRUE(stream->reader->Read(&envelope));
  EXPECT_EQ(envelope.SerializeAsString(), request.envelope().SerializeAsString());
}

TEST_F(EventsTest, TheServicesOfTheDaemonPublishWhatTheyDid) {
  const auto stream = Subscribe({"topic==/namespaces/create"});
  namespace names = containerd::services::namespaces::v1;
  grpc::ClientContext context;
  names::CreateNamespaceRequest request;
  request.mutable_namespace_()->set_name("fresh");
  names::CreateNamespaceResponse response;
  ASSERT_TRUE(
      names::Namespaces::NewStub(daemon_->Channel())->Create(&context, request, &response).ok());
  Envelope envelope;
  ASSERT_TRUE(stream->reader->Read(&envelope));
  EXPECT_EQ(envelope.namespace_(), "fresh");
}

TEST_F(EventsTest, ManySubscribersHoldNoThreads) {
  const auto threads = [this] {
    const std::string tasks = "/proc/" + std::to_string(daemon_->pid()) + "/task";
    return ListDirectory(tasks).value_or(std::vector<std::string>()).size();
  };
  std::vector<std::unique_ptr<Stream>> streams;
  streams.push_back(Subscribe({}));
  const size_t before = threads();
  while (streams.size() < 200) streams.push_back(Subscribe({}));
  // gRPC's own pool may grow a little; a thread for each would be 200.
  EXPECT_LT(threads(), before + 32);
  ASSERT_TRUE(Publish("n", "/tasks/oom", "c").ok());
  for (const auto& stream : streams) {
    Envelope envelope;
    EXPECT_TRUE(stream->reader->Read(&envelope));
  }
}

TEST_F(EventsTest, SigtermEndsOpenStreamsAtOnce) {
  const auto stream = Subscribe({});
  daemon_->Signal(SIGTERM);
  Envelope envelope;
  EXPECT_FALSE(stream->reader->Read(&envelope));
  EXPECT_EQ(stream->reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto ended = daemon_->Wait();
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->exit_code, 0);
}

TEST_F(EventsTest, ASubscriberThatGoesAwayIsForgotten) {
  for (int i = 0; i < 50; ++i) {
    const auto stream = Subscribe({});
    stream->context.TryCancel();
    EXPECT_EQ(stream->reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  const auto stream = Subscribe({});
  ASSERT_TRUE(Publish("n", "/tasks/oom", "c").ok());
  Envelope envelope;
  EXPECT_TRUE(stream->reader->Read(&envelope));
}

}  // namespace
}  // namespace gantry::test
