#include "services/namespaces/namespaces_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/services/metadata/temp_store.h"
#include "tests/unit/services/rpc/grpc_fixture.h"

namespace gantry::namespaces {
namespace {

namespace api = containerd::services::namespaces::v1;
using rpc::In;
using testing::ElementsAre;

class NamespacesServiceTest : public testing::Test {
 protected:
  metadata::TempStore store_;
  Namespaces namespaces_{*store_};
  Executor executor_{2};
  rpc::RecordingPublisher events_;
  NamespacesService service_{namespaces_, executor_, events_};
  rpc::GrpcServer server_{service_};
  std::unique_ptr<api::Namespaces::Stub> stub_ = api::Namespaces::NewStub(server_.Channel());
};

TEST_F(NamespacesServiceTest, ALifeFromCreateToDeleteIsAnnounced) {
  api::CreateNamespaceRequest create;
  create.mutable_namespace_()->set_name("n");
  (*create.mutable_namespace_()->mutable_labels())["a"] = "1";
  api::CreateNamespaceResponse created;
  ASSERT_TRUE(stub_->Create(In("").get(), create, &created).ok());
  EXPECT_EQ(created.namespace_().name(), "n");
  EXPECT_EQ(stub_->Create(In("").get(), create, &created).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);

  api::UpdateNamespaceRequest update;
  update.mutable_namespace_()->set_name("n");
  (*update.mutable_namespace_()->mutable_labels())["b"] = "2";
  update.mutable_update_mask()->add_paths("labels.b");
  api::UpdateNamespaceResponse updated;
  ASSERT_TRUE(stub_->Update(In("").get(), update, &updated).ok());
  EXPECT_EQ(updated.namespace_().labels_size(), 2);

  api::ListNamespacesResponse list;
  ASSERT_TRUE(stub_->List(In("").get(), {}, &list).ok());
  ASSERT_EQ(list.namespaces_size(), 1);
  api::GetNamespaceRequest get;
  get.set_name("n");
  api::GetNamespaceResponse got;
  ASSERT_TRUE(stub_->Get(In("").get(), get, &got).ok());
  EXPECT_EQ(got.namespace_().labels().at("b"), "2");

  api::DeleteNamespaceRequest remove;
  remove.set_name("n");
  google::protobuf::Empty empty;
  ASSERT_TRUE(stub_->Delete(In("").get(), remove, &empty).ok());
  EXPECT_EQ(stub_->Delete(In("").get(), remove, &empty).error_code(), grpc::StatusCode::NOT_FOUND);

  const std::vector<std::string> events = events_.Take();
  EXPECT_EQ(events.size(), 3u) << "a call that fails announces nothing";
  EXPECT_EQ(events.front(),
            "n /namespaces/create containerd.events.NamespaceCreate: "
            "name: \"n\" labels { key: \"a\" value: \"1\" }");
  EXPECT_EQ(events.back(), "n /namespaces/delete containerd.events.NamespaceDelete: name: \"n\"");
}

}  // namespace
}  // namespace gantry::namespaces
