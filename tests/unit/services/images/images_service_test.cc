#include "services/images/images_service.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "tests/unit/services/gc/fake_trigger.h"
#include "tests/unit/services/metadata/temp_store.h"
#include "tests/unit/services/rpc/grpc_fixture.h"

namespace gantry::images {
namespace {

namespace api = containerd::services::images::v1;
using rpc::In;

api::Image Sample() {
  api::Image image;
  image.set_name("docker.io/library/one:latest");
  (*image.mutable_labels())["a"] = "1";
  image.mutable_target()->set_media_type("application/vnd.oci.image.manifest.v1+json");
  image.mutable_target()->set_digest(Sha256("x").text());
  image.mutable_target()->set_size(42);
  (*image.mutable_target()->mutable_annotations())["k"] = "v";
  return image;
}

class ImagesServiceTest : public testing::Test {
 protected:
  metadata::TempStore store_;
  Images images_{*store_};
  Executor executor_{2};
  rpc::RecordingPublisher events_;
  gc::FakeTrigger collector_;
  ImagesService service_{images_, executor_, events_, collector_};
  rpc::GrpcServer server_{service_};
  std::unique_ptr<api::Images::Stub> stub_ = api::Images::NewStub(server_.Channel());
};

TEST_F(ImagesServiceTest, EveryFieldGoesThereAndBackAndYearOneIsNotTaken) {
  api::CreateImageRequest create;
  *create.mutable_image() = Sample();
  // Go's zero time, as dockerd sends it.
  create.mutable_image()->mutable_created_at()->set_seconds(-62135596800);
  api::CreateImageResponse created;
  ASSERT_TRUE(stub_->Create(In("moby").get(), create, &created).ok());
  api::GetImageRequest get;
  get.set_name(Sample().name());
  api::GetImageResponse got;
  ASSERT_TRUE(stub_->Get(In("moby").get(), get, &got).ok());
  EXPECT_GT(got.image().created_at().seconds(), 1000000000);
  api::Image stripped = got.image();
  stripped.clear_created_at();
  stripped.clear_updated_at();
  EXPECT_EQ(stripped.DebugString(), Sample().DebugString());
  EXPECT_EQ(stub_->Get(In("other").get(), get, &got).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(ImagesServiceTest, AListTellsOfEachImageWhatGetDoes) {
  std::vector<api::Image> wanted;
  for (int i = 0; i < 300; ++i) {
    api::CreateImageRequest create;
    *create.mutable_image() = Sample();
    // The lengths of all that nests in something pass those of one and of two bytes.
    create.mutable_image()->set_name(absl::StrCat("image-", 1000 + i));
    create.mutable_image()->mutable_target()->set_size(int64_t{1} << (i % 62));
    if (i % 3 == 0) create.mutable_image()->clear_labels();
    if (i % 3 == 1) create.mutable_image()->mutable_target()->clear_annotations();
    (*create.mutable_image()->mutable_labels())["empty"] = "";
    (*create.mutable_image()->mutable_labels())["much"] = std::string(static_cast<size_t>(i), 'm');
    (*create.mutable_image()->mutable_target()->mutable_annotations())["x"] =
        std::string(static_cast<size_t>(i) * 60, 'x');
    api::CreateImageResponse created;
    ASSERT_TRUE(stub_->Create(In("ns").get(), create, &created).ok());
    api::GetImageRequest get;
    get.set_name(create.image().name());
    api::GetImageResponse got;
    ASSERT_TRUE(stub_->Get(In("ns").get(), get, &got).ok());
    wanted.push_back(got.image());
  }
  api::ListImagesResponse listed;
  ASSERT_TRUE(stub_->List(In("ns").get(), {}, &listed).ok());
  ASSERT_EQ(listed.images_size(), 300);
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(listed.images(i).DebugString(), wanted[static_cast<size_t>(i)].DebugString());
  }
  ASSERT_TRUE(stub_->List(In("empty").get(), {}, &listed).ok());
  EXPECT_EQ(listed.images_size(), 0);
}

TEST_F(ImagesServiceTest, AListThatCannotBeAskedForIsRefused) {
  api::ListImagesRequest list;
  list.add_filters("name==");
  api::ListImagesResponse listed;
  EXPECT_EQ(stub_->List(In("ns").get(), list, &listed).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(stub_->List(In("").get(), {}, &listed).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(ImagesServiceTest, ALifeFromCreateToDeleteIsAnnounced) {
  api::CreateImageRequest create;
  *create.mutable_image() = Sample();
  create.mutable_source_date_epoch()->set_seconds(1234567890);
  api::CreateImageResponse created;
  ASSERT_TRUE(stub_->Create(In("ns").get(), create, &created).ok());
  EXPECT_EQ(created.image().created_at().seconds(), 1234567890);
  EXPECT_EQ(stub_->Create(In("ns").get(), create, &created).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);

  api::UpdateImageRequest update;
  *update.mutable_image() = Sample();
  (*update.mutable_image()->mutable_labels())["b"] = "2";
  update.mutable_update_mask()->add_paths("labels.b");
  api::UpdateImageResponse updated;
  ASSERT_TRUE(stub_->Update(In("ns").get(), update, &updated).ok());
  EXPECT_EQ(updated.image().labels_size(), 2);

  api::ListImagesRequest list;
  list.add_filters("name~=/one/");
  api::ListImagesResponse listed;
  ASSERT_TRUE(stub_->List(In("ns").get(), list, &listed).ok());
  EXPECT_EQ(listed.images_size(), 1);

  api::DeleteImageRequest remove;
  remove.set_name(Sample().name());
  remove.mutable_target()->set_digest(Sha256("another").text());
  google::protobuf::Empty empty;
  EXPECT_EQ(stub_->Delete(In("ns").get(), remove, &empty).error_code(),
            grpc::StatusCode::NOT_FOUND);
  remove.clear_target();
  remove.set_sync(true);
  ASSERT_TRUE(stub_->Delete(In("ns").get(), remove, &empty).ok());

  const std::vector<std::string> events = events_.Take();
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0],
            "ns /images/create containerd.services.images.v1.ImageCreate: "
            "name: \"docker.io/library/one:latest\" labels { key: \"a\" value: \"1\" }");
  EXPECT_EQ(events[1].rfind("ns /images/update containerd.services.images.v1.ImageUpdate: ", 0),
            0u);
  EXPECT_EQ(events[2],
            "ns /images/delete containerd.services.images.v1.ImageDelete: "
            "name: \"docker.io/library/one:latest\"");
}

TEST_F(ImagesServiceTest, ASynchronousDeleteWaitsForACollectionAndTellsWhatCameOfIt) {
  api::CreateImageRequest create;
  *create.mutable_image() = Sample();
  api::CreateImageResponse created;
  google::protobuf::Empty empty;
  api::DeleteImageRequest remove;
  remove.set_name(Sample().name());
  ASSERT_TRUE(stub_->Create(In("ns").get(), create, &created).ok());
  ASSERT_TRUE(stub_->Delete(In("ns").get(), remove, &empty).ok());
  EXPECT_EQ(collector_.asked, 0);

  ASSERT_TRUE(stub_->Create(In("ns").get(), create, &created).ok());
  remove.set_sync(true);
  ASSERT_TRUE(stub_->Delete(In("ns").get(), remove, &empty).ok());
  EXPECT_EQ(collector_.asked, 1);
  EXPECT_EQ(stub_->Delete(In("ns").get(), remove, &empty).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(collector_.asked, 1) << "nothing was deleted";

  ASSERT_TRUE(stub_->Create(In("ns").get(), create, &created).ok());
  collector_.outcome = absl::ResourceExhaustedError("collect garbage: no space");
  EXPECT_EQ(stub_->Delete(In("ns").get(), remove, &empty).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace gantry::images
