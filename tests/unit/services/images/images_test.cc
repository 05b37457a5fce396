#include "services/images/images.h"

#include <gtest/gtest.h>

#include "base/digest.h"
#include "tests/unit/services/metadata/temp_store.h"

namespace gantry::images {
namespace {

constexpr char kManifest[] = "application/vnd.oci.image.manifest.v1+json";

Image Sample(const std::string& name) {
  Image image;
  image.name = name;
  image.labels = {{"app", "web"}};
  image.target = {kManifest, Sha256(name).text(), 42, {{"org.a", "b"}}};
  return image;
}

class ImagesTest : public testing::Test {
 protected:
  std::vector<std::string> Names(const std::vector<std::string>& filters) {
    std::vector<std::string> names;
    const absl::Status listed = images_.List(
        "ns", filters, [&names](const ImageView& image) { names.emplace_back(image.name); });
    EXPECT_TRUE(listed.ok()) << listed;
    return names;
  }
  void ExpectRefused(const Image& image, const std::string& words) {
    const auto made = images_.Create("ns", image, std::nullopt);
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << words;
    EXPECT_NE(made.status().message().find(words), absl::string_view::npos) << made.status();
    EXPECT_TRUE(Names({}).empty());
  }
  metadata::TempStore store_;
  Images images_{*store_};
};

TEST_F(ImagesTest, ARecordSurvivesARestartWhole) {
  const auto created = images_.Create("ns", Sample("a"), std::nullopt);
  ASSERT_TRUE(created.ok()) << created.status();
  store_.Reopen();
  const auto got = Images(*store_).Get("ns", "a");
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->labels, Sample("a").labels);
  EXPECT_EQ(got->target, Sample("a").target);
  EXPECT_EQ(got->created_at, created->created_at);
}

TEST_F(ImagesTest, NamesAreUniqueInANamespace) {
  ASSERT_TRUE(images_.Create("ns", Sample("a"), std::nullopt).ok());
  EXPECT_EQ(images_.Create("ns", Sample("a"), std::nullopt).status(),
            absl::AlreadyExistsError("image \"a\": already exists"));
  EXPECT_TRUE(images_.Create("other", Sample("a"), std::nullopt).ok());
}

TEST_F(ImagesTest, WhatIsMissingIsNotFound) {
  const absl::Status wanted = absl::NotFoundError("image \"a\": not found");
  EXPECT_EQ(images_.Get("ns", "a").status(), wanted);
  EXPECT_EQ(images_.Update("ns", Sample("a"), {}, std::nullopt).status(), wanted);
  EXPECT_EQ(images_.Delete("ns", "a", std::nullopt), wanted);
}

TEST_F(ImagesTest, EachBadFieldIsNamed) {
  ExpectRefused(Sample(""), "image name must not be empty");
  Image image = Sample("a");
  image.target.digest = "sha256:zz";
  ExpectRefused(image, "sha256:zz");
  image = Sample("a");
  image.target.size_bytes = 0;
  ExpectRefused(image, "image.target.size");
  image = Sample("a");
  image.target.media_type = "";
  ExpectRefused(image, "image.target.mediatype");
  image = Sample("a");
  image.labels["k"] = std::string(4096, 'v');
  ExpectRefused(image, "image.labels");
}

TEST_F(ImagesTest, NamesMayBeLongButNotEndless) {
  const std::string name = "docker.io/" + std::string(1000, 'n') + ":latest";
  ASSERT_TRUE(images_.Create("ns", Sample(name), std::nullopt).ok());
  EXPECT_EQ(images_.Get("ns", name)->name, name);
  EXPECT_EQ(images_.Create("ns", Sample(std::string(5000, 'n')), std::nullopt).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ImagesTest, AMaskChangesWhatItNamesAndNothingElse) {
  const auto created = images_.Create("ns", Sample("a"), std::nullopt);
  Image wanted = Sample("b");
  wanted.name = "a";
  wanted.labels = {{"new", "1"}};
  auto updated = images_.Update("ns", wanted, {"labels.new"}, std::nullopt);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->labels, (Labels{{"app", "web"}, {"new", "1"}}));
  EXPECT_EQ(updated->target, Sample("a").target);
  EXPECT_EQ(updated->created_at, created->created_at);
  updated = images_.Update("ns", wanted, {"target"}, std::nullopt);
  EXPECT_EQ(updated->target, wanted.target);
  EXPECT_EQ(updated->labels.size(), 2u);
  EXPECT_EQ(images_.Update("ns", wanted, {"name"}, std::nullopt).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(images_.Update("ns", wanted, {"created_at"}, std::nullopt).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ImagesTest, WithoutAMaskLabelsAndTargetAreReplaced) {
  ASSERT_TRUE(images_.Create("ns", Sample("a"), std::nullopt).ok());
  Image wanted = Sample("b");
  wanted.name = "a";
  wanted.labels = {};
  const auto updated = images_.Update("ns", wanted, {}, std::nullopt);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_TRUE(updated->labels.empty());
  EXPECT_EQ(updated->target, wanted.target);
  wanted.target.digest = "";
  EXPECT_EQ(images_.Update("ns", wanted, {}, std::nullopt).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(images_.Get("ns", "a")->target, updated->target);
}

TEST_F(ImagesTest, ASourceDateEpochStandsInForNow) {
  const absl::Time epoch = absl::FromUnixSeconds(1234567890);
  EXPECT_EQ(images_.Create("ns", Sample("a"), epoch)->created_at, epoch);
  const absl::Time later = absl::FromUnixSeconds(1234567999);
  const auto updated = images_.Update("ns", Sample("a"), {}, later);
  EXPECT_EQ(updated->created_at, epoch);
  EXPECT_EQ(updated->updated_at, later);
}

TEST_F(ImagesTest, ADeleteForATargetSparesAnImageThatMovedOn) {
  ASSERT_TRUE(images_.Create("ns", Sample("a"), std::nullopt).ok());
  EXPECT_EQ(images_.Delete("ns", "a", Sample("b").target).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(images_.Get("ns", "a").ok());
  EXPECT_TRUE(images_.Delete("ns", "a", Sample("a").target).ok());
  EXPECT_FALSE(images_.Get("ns", "a").ok());
}

TEST_F(ImagesTest, FiltersSeeTheFieldsOfTheContract) {
  ASSERT_TRUE(images_.Create("ns", Sample("a"), std::nullopt).ok());
  Image other = Sample("b");
  other.labels = {};
  other.target.media_type = "index";
  other.target.annotations = {};
  ASSERT_TRUE(images_.Create("ns", other, std::nullopt).ok());
  EXPECT_EQ(Names({}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Names({"name==b"}), std::vector<std::string>{"b"});
  EXPECT_EQ(Names({"name~=/^[ab]$/"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Names({"target.digest==" + Sample("a").target.digest}), std::vector<std::string>{"a"});
  EXPECT_EQ(Names({"target.digest~=" + Sample("a").target.digest.substr(0, 20)}),
            std::vector<std::string>{"a"});
  EXPECT_EQ(Names({"target.mediatype==index"}), std::vector<std::string>{"b"});
  EXPECT_EQ(Names({"labels.app"}), std::vector<std::string>{"a"});
  EXPECT_EQ(Names({R"(annotations."org.a"==b)"}), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace gantry::images
