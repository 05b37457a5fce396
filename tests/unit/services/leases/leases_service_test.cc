#include "services/leases/leases_service.h"

#include <gtest/gtest.h>

#include "tests/unit/services/gc/fake_trigger.h"
#include "tests/unit/services/metadata/temp_store.h"
#include "tests/unit/services/rpc/grpc_fixture.h"

namespace gantry::leases {
namespace {

namespace api = containerd::services::leases::v1;
using rpc::In;

TEST(LeasesServiceTest, ALifeFromCreateToDelete) {
  metadata::TempStore store;
  Leases leases(*store);
  Executor executor(2);
  gc::FakeTrigger collector;
  LeasesService service(leases, executor, collector);
  rpc::GrpcServer server(service);
  const auto stub = api::Leases::NewStub(server.Channel());

  api::CreateRequest create;
  (*create.mutable_labels())["a"] = "1";
  api::CreateResponse created;
  ASSERT_TRUE(stub->Create(In("ns").get(), create, &created).ok());
  const std::string id = created.lease().id();
  EXPECT_FALSE(id.empty());
  EXPECT_GT(created.lease().created_at().seconds(), 1000000000);
  create.set_id(id);
  EXPECT_EQ(stub->Create(In("ns").get(), create, &created).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);

  google::protobuf::Empty empty;
  api::AddResourceRequest add;
  add.set_id(id);
  add.mutable_resource()->set_type("snapshots/overlayfs");
  add.mutable_resource()->set_id("key");
  ASSERT_TRUE(stub->AddResource(In("ns").get(), add, &empty).ok());
  api::ListResourcesRequest resources;
  resources.set_id(id);
  api::ListResourcesResponse held;
  ASSERT_TRUE(stub->ListResources(In("ns").get(), resources, &held).ok());
  ASSERT_EQ(held.resources_size(), 1);
  EXPECT_EQ(held.resources(0).type(), "snapshots/overlayfs");
  EXPECT_EQ(held.resources(0).id(), "key");
  api::DeleteResourceRequest drop;
  drop.set_id(id);
  *drop.mutable_resource() = add.resource();
  ASSERT_TRUE(stub->DeleteResource(In("ns").get(), drop, &empty).ok());

  api::ListRequest list;
  list.add_filters("id==" + id);
  api::ListResponse listed;
  ASSERT_TRUE(stub->List(In("ns").get(), list, &listed).ok());
  ASSERT_EQ(listed.leases_size(), 1);
  EXPECT_EQ(listed.leases(0).labels().at("a"), "1");
  ASSERT_TRUE(stub->List(In("other").get(), list, &listed).ok());
  EXPECT_EQ(listed.leases_size(), 0);

  api::DeleteRequest remove;
  remove.set_id(id);
  ASSERT_TRUE(stub->Delete(In("ns").get(), remove, &empty).ok());
  EXPECT_EQ(stub->Delete(In("ns").get(), remove, &empty).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(LeasesServiceTest, ASynchronousDeleteWaitsForACollection) {
  metadata::TempStore store;
  Leases leases(*store);
  Executor executor(2);
  gc::FakeTrigger collector;
  LeasesService service(leases, executor, collector);
  rpc::GrpcServer server(service);
  const auto stub = api::Leases::NewStub(server.Channel());
  for (const bool sync : {false, true}) {
    api::CreateRequest create;
    create.set_id("l");
    api::CreateResponse created;
    ASSERT_TRUE(stub->Create(In("ns").get(), create, &created).ok());
    api::DeleteRequest remove;
    remove.set_id("l");
    remove.set_sync(sync);
    google::protobuf::Empty empty;
    ASSERT_TRUE(stub->Delete(In("ns").get(), remove, &empty).ok());
    EXPECT_EQ(collector.asked, sync ? 1 : 0);
    EXPECT_EQ(stub->Delete(In("ns").get(), remove, &empty).error_code(),
              grpc::StatusCode::NOT_FOUND);
  }
}

}  // namespace
}  // namespace gantry::leases
