#include "services/containers/containers_service.h"

#include <gtest/gtest.h>

#include "tests/unit/services/metadata/temp_store.h"
#include "tests/unit/services/rpc/grpc_fixture.h"

namespace gantry::containers {
namespace {

namespace api = containerd::services::containers::v1;
using rpc::In;

api::Container Sample() {
  api::Container container;
  container.set_id("c");
  (*container.mutable_labels())["a"] = "1";
  container.set_image("one");
  container.mutable_runtime()->set_name("io.containerd.runc.v2");
  container.mutable_runtime()->mutable_options()->set_type_url("containerd.runc.v1.Options");
  container.mutable_runtime()->mutable_options()->set_value("\x08\x01");
  container.mutable_spec()->set_type_url("types.containerd.io/x/Spec");
  container.mutable_spec()->set_value("{}");
  container.set_snapshotter("overlayfs");
  container.set_snapshot_key("c");
  (*container.mutable_extensions())["e"].set_value("v");
  container.set_sandbox("pod");
  return container;
}

class ContainersServiceTest : public testing::Test {
 protected:
  grpc::Status Create(const api::Container& container, const std::string& ns = "ns") {
    api::CreateContainerRequest request;
    *request.mutable_container() = container;
    return stub_->Create(In(ns).get(), request, &created_);
  }
  metadata::TempStore store_;
  Containers containers_{*store_};
  Executor executor_{2};
  rpc::RecordingPublisher events_;
  ContainersService service_{containers_, executor_, events_};
  rpc::GrpcServer server_{service_};
  std::unique_ptr<api::Containers::Stub> stub_ = api::Containers::NewStub(server_.Channel());
  api::CreateContainerResponse created_;
};

TEST_F(ContainersServiceTest, EveryFieldGoesThereAndBack) {
  ASSERT_TRUE(Create(Sample()).ok());
  api::GetContainerRequest get;
  get.set_id("c");
  api::GetContainerResponse got;
  ASSERT_TRUE(stub_->Get(In("ns").get(), get, &got).ok());
  EXPECT_GT(got.container().created_at().seconds(), 0);
  api::Container stripped = got.container();
  stripped.clear_created_at();
  stripped.clear_updated_at();
  EXPECT_EQ(stripped.DebugString(), Sample().DebugString());
}

TEST_F(ContainersServiceTest, ClientsTimesAreNotTaken) {
  api::Container container = Sample();
  container.mutable_created_at()->set_seconds(-62135596800);
  ASSERT_TRUE(Create(container).ok());
  EXPECT_GT(created_.container().created_at().seconds(), 1000000000);
}

TEST_F(ContainersServiceTest, ASpecOrRuntimeThatIsNotThereIsRefused) {
  api::Container container = Sample();
  container.clear_spec();
  EXPECT_EQ(Create(container).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  container = Sample();
  container.clear_runtime();
  EXPECT_EQ(Create(container).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ContainersServiceTest, ListAndStreamTellTheSame) {
  ASSERT_TRUE(Create(Sample()).ok());
  ASSERT_TRUE(Create(Sample(), "other").ok());
  api::ListContainersRequest request;
  request.add_filters("id==c");
  api::ListContainersResponse list;
  ASSERT_TRUE(stub_->List(In("ns").get(), request, &list).ok());
  ASSERT_EQ(list.containers_size(), 1);
  const auto context = In("ns");
  const auto reader = stub_->ListStream(context.get(), request);
  api::ListContainerMessage message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.container().DebugString(), list.containers(0).DebugString());
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ContainersServiceTest, ChangesAreAnnouncedAndFailuresAreNot) {
  ASSERT_TRUE(Create(Sample()).ok());
  EXPECT_EQ(Create(Sample()).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  api::UpdateContainerRequest update;
  update.mutable_container()->set_id("c");
  update.mutable_container()->set_image("two");
  update.mutable_update_mask()->add_paths("image");
  api::UpdateContainerResponse updated;
  ASSERT_TRUE(stub_->Update(In("ns").get(), update, &updated).ok());
  EXPECT_EQ(updated.container().image(), "two");
  api::DeleteContainerRequest remove;
  remove.set_id("c");
  google::protobuf::Empty empty;
  ASSERT_TRUE(stub_->Delete(In("ns").get(), remove, &empty).ok());
  EXPECT_EQ(stub_->Delete(In("ns").get(), remove, &empty).error_code(),
            grpc::StatusCode::NOT_FOUND);
  const std::vector<std::string> events = events_.Take();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].rfind("ns /containers/create containerd.events.ContainerCreate: id: \"c\" "
                            "image: \"one\" runtime { name: \"io.containerd.runc.v2\"",
                            0),
            0u)
      << events[0];
  EXPECT_EQ(events[1],
            "ns /containers/update containerd.events.ContainerUpdate: id: \"c\" image: \"two\" "
            "labels { key: \"a\" value: \"1\" } snapshot_key: \"c\"");
  EXPECT_EQ(events[2], "ns /containers/delete containerd.events.ContainerDelete: id: \"c\"");
}

}  // namespace
}  // namespace gantry::containers
