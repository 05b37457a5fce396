// What a client that knows nothing of gantry can find out: reflection and health, spoken by hand.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "base/wire.h"
#include "tests/support/daemon_process.h"

namespace gantry::test {
namespace {

// A unary or one-answer call of raw bytes. Debian ships no headers of these two services.
absl::StatusOr<std::string> CallRaw(const std::shared_ptr<grpc::Channel>& channel,
                                    const std::string& method, const std::string& request) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, method, &queue);
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  next();
  const grpc::Slice slice(request);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
  next();
  grpc::ByteBuffer reply;
  call->Read(&reply, nullptr);
  const bool got = next();
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
  if (!got) {
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  }
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(reply.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& part : slices) {
    bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return bytes;
}

std::vector<std::string> FieldsNumbered(absl::string_view message, uint32_t field) {
  std::vector<std::string> values;
  WireReader reader(message);
  while (reader.Next()) {
    if (reader.field() == field) values.push_back(reader.str());
  }
  EXPECT_TRUE(reader.status().ok());
  return values;
}

class DiscoveryTest : public testing::Test {
 protected:
  void SetUp() override {
    auto started = DaemonProcess::Start();
    ASSERT_TRUE(started.ok()) << started.status();
    daemon_ = *std::move(started);
  }

  // grpc.reflection.v1alpha: ServerReflectionRequest{4 file_containing_symbol, 7 list_services},
  // ServerReflectionResponse{4 file_descriptor_response{1 file}, 6 list_services_response{1
  // service{1 name}}, 7 error_response}.
  absl::StatusOr<std::string> Reflect(uint32_t field, absl::string_view value) {
    WireWriter request;
    request.Element(field, value);
    return CallRaw(daemon_->Channel(),
                   "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                   request.bytes());
  }

  // 1 is SERVING (grpc.health.v1.HealthCheckResponse.status).
  absl::StatusOr<uint64_t> Health(const std::string& service) {
    WireWriter request;
    request.Bytes(1, service);
    auto reply = CallRaw(daemon_->Channel(), "/grpc.health.v1.Health/Check", request.bytes());
    if (!reply.ok()) return reply.status();
    WireReader reader(*reply);
    return reader.Next() ? reader.uint() : 0;
  }

  std::unique_ptr<DaemonProcess> daemon_;
};

TEST_F(DiscoveryTest, ReflectionListsEveryServiceOfTheContract) {
  const auto reply = Reflect(7, "*");
  ASSERT_TRUE(reply.ok()) << reply.status();
  const auto lists = FieldsNumbered(*reply, 6);
  ASSERT_EQ(lists.size(), 1u);
  std::vector<std::string> names;
  for (const std::string& service : FieldsNumbered(lists[0], 1)) {
    names.push_back(FieldsNumbered(service, 1).at(0));
  }
  EXPECT_THAT(
      names,
      testing::IsSupersetOf(
          {"containerd.services.containers.v1.Containers", "containerd.services.content.v1.Content",
           "containerd.services.diff.v1.Diff", "containerd.services.events.v1.Events",
           "containerd.services.images.v1.Images",
           "containerd.services.introspection.v1.Introspection",
           "containerd.services.leases.v1.Leases", "containerd.services.mounts.v1.Mounts",
           "containerd.services.namespaces.v1.Namespaces",
           "containerd.services.sandbox.v1.Controller", "containerd.services.sandbox.v1.Store",
           "containerd.services.snapshots.v1.Snapshots",
           "containerd.services.streaming.v1.Streaming", "containerd.services.tasks.v1.Tasks",
           "containerd.services.transfer.v1.Transfer", "containerd.services.version.v1.Version",
           "containerd.task.v2.Task", "containerd.task.v3.Task",
           "grpc.health.v1.Health"}));
}

TEST_F(DiscoveryTest, ReflectionDescribesAServiceByItsSymbol) {
  const auto reply = Reflect(4, "containerd.services.tasks.v1.Tasks");
  ASSERT_TRUE(reply.ok()) << reply.status();
  const auto responses = FieldsNumbered(*reply, 4);
  ASSERT_EQ(responses.size(), 1u);
  bool found = false;
  for (const std::string& file : FieldsNumbered(responses[0], 1)) {
    google::protobuf::FileDescriptorProto descriptor;
    ASSERT_TRUE(descriptor.ParseFromString(file));
    found = found || (descriptor.package() == "containerd.services.tasks.v1" &&
                      descriptor.service_size() == 1 && descriptor.service(0).method_size() > 10);
  }
  EXPECT_TRUE(found);
}

TEST_F(DiscoveryTest, ReflectionDescribesTheTypesOfEvents) {
  const auto reply = Reflect(4, "containerd.events.TaskExit");
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(FieldsNumbered(*reply, 4).size(), 1u);
  EXPECT_EQ(FieldsNumbered(*reply, 7).size(), 0u);
}

TEST_F(DiscoveryTest, HealthIsServingForTheWholeAndByName) {
  EXPECT_EQ(Health("").value_or(0), 1u);
  EXPECT_EQ(Health("containerd.services.tasks.v1.Tasks").value_or(0), 1u);
  EXPECT_TRUE(absl::IsNotFound(Health("no.such.Service").status()));
}

}  // namespace
}  // namespace gantry::test
