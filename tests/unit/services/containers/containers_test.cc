#include "services/containers/containers.h"

#include <gtest/gtest.h>

#include "tests/unit/services/metadata/temp_store.h"

namespace gantry::containers {
namespace {

Container Sample(const std::string& id) {
  Container container;
  container.id = id;
  container.labels = {{"app", "web"}, {"a.b/c", "d"}};
  container.image = "docker.io/library/one:latest";
  container.runtime_name = "io.containerd.runc.v2";
  container.runtime_options = {"containerd.runc.v1.Options", std::string("\x08\x01\0", 3)};
  container.spec = {"types.containerd.io/opencontainers/runtime-spec/1/Spec", "{}"};
  container.snapshotter = "overlayfs";
  container.snapshot_key = id;
  container.extensions = {{"x", {"any/x", "1"}}, {"y.z", {"any/y", std::string("\0\xff", 2)}}};
  container.sandbox = "pod";
  return container;
}

class ContainersTest : public testing::Test {
 protected:
  std::vector<std::string> Ids(const std::vector<std::string>& filters) {
    std::vector<std::string> ids;
    const auto list = containers_.List("ns", filters);
    EXPECT_TRUE(list.ok()) << list.status();
    if (list.ok()) {
      for (const Container& container : *list) ids.push_back(container.id);
    }
    return ids;
  }
  void ExpectRefused(const Container& container, const std::string& words) {
    const auto made = containers_.Create("ns", container);
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << words;
    EXPECT_NE(made.status().message().find(words), absl::string_view::npos) << made.status();
    EXPECT_TRUE(Ids({}).empty());
  }
  metadata::TempStore store_;
  Containers containers_{*store_};
};

TEST_F(ContainersTest, ARecordSurvivesARestartWhole) {
  const auto created = containers_.Create("ns", Sample("c"));
  ASSERT_TRUE(created.ok()) << created.status();
  store_.Reopen();
  const auto got = Containers(*store_).Get("ns", "c");
  ASSERT_TRUE(got.ok()) << got.status();
  const Container wanted = Sample("c");
  EXPECT_EQ(got->labels, wanted.labels);
  EXPECT_EQ(got->image, wanted.image);
  EXPECT_EQ(got->runtime_name, wanted.runtime_name);
  EXPECT_EQ(got->runtime_options, wanted.runtime_options);
  EXPECT_EQ(got->spec, wanted.spec);
  EXPECT_EQ(got->snapshotter, wanted.snapshotter);
  EXPECT_EQ(got->snapshot_key, wanted.snapshot_key);
  EXPECT_EQ(got->extensions, wanted.extensions);
  EXPECT_EQ(got->sandbox, wanted.sandbox);
  EXPECT_EQ(got->created_at, created->created_at);
  EXPECT_EQ(got->updated_at, created->created_at);
}

TEST_F(ContainersTest, AnIdIsTakenInOneNamespaceOnly) {
  ASSERT_TRUE(containers_.Create("ns", Sample("c")).ok());
  EXPECT_EQ(containers_.Create("ns", Sample("c")).status(),
            absl::AlreadyExistsError("container \"c\": already exists"));
  EXPECT_TRUE(containers_.Create("other", Sample("c")).ok());
  EXPECT_TRUE(containers_.Delete("other", "c").ok());
  EXPECT_TRUE(containers_.Get("ns", "c").ok());
}

TEST_F(ContainersTest, WhatIsMissingIsNotFoundInContainerdsWords) {
  const absl::Status wanted = absl::NotFoundError("container \"c\" in namespace \"ns\": not found");
  EXPECT_EQ(containers_.Get("ns", "c").status(), wanted);
  EXPECT_EQ(containers_.Update("ns", Sample("c"), {}).status(), wanted);
  EXPECT_EQ(containers_.Delete("ns", "c"), wanted);
  EXPECT_EQ(containers_.Get("ns", "c@").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(containers_.Get("ns", "").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ContainersTest, EachRequiredFieldIsNamedWhenItIsMissing) {
  Container container = Sample("c");
  container.id = "c@";
  ExpectRefused(container, "container.ID: identifier \"c@\" must match");
  container = Sample("c");
  container.spec = {};
  ExpectRefused(container, "container.Spec must be set");
  container = Sample("c");
  container.runtime_name = "";
  ExpectRefused(container, "container.Runtime.Name must be set");
  container = Sample("c");
  container.snapshotter = "";
  ExpectRefused(container, "container.Snapshotter must be set");
  container = Sample("c");
  container.extensions[""] = {"a", "b"};
  ExpectRefused(container, "container.Extension keys");
  container = Sample("c");
  container.labels["k"] = std::string(5000, 'v');
  ExpectRefused(container, "container.Labels");
}

TEST_F(ContainersTest, AMaskChangesWhatItNamesAndNothingElse) {
  const auto created = containers_.Create("ns", Sample("c"));
  Container wanted;
  wanted.id = "c";
  wanted.labels = {{"app", ""}, {"new.key", "1"}};
  wanted.image = "two";
  wanted.extensions = {{"y.z", {"any/y", "2"}}};
  const auto updated = containers_.Update(
      "ns", wanted, {"labels.app", "labels.new.key", "extensions.y.z", "extensions.x"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->labels, (Labels{{"a.b/c", "d"}, {"new.key", "1"}}));
  EXPECT_EQ(updated->extensions, (std::map<std::string, Any>{{"y.z", {"any/y", "2"}}}));
  EXPECT_EQ(updated->image, Sample("c").image);
  EXPECT_EQ(updated->spec, Sample("c").spec);
  EXPECT_EQ(updated->created_at, created->created_at);
  EXPECT_GE(updated->updated_at, created->updated_at);
  EXPECT_EQ(containers_.Get("ns", "c")->labels, updated->labels);
}

TEST_F(ContainersTest, WithoutAMaskAllThatMayChangeIsReplaced) {
  ASSERT_TRUE(containers_.Create("ns", Sample("c")).ok());
  Container wanted = Sample("c");
  wanted.labels = {};
  wanted.extensions = {};
  wanted.image = "two";
  wanted.snapshot_key = "k2";
  wanted.spec.value = "{\"a\":1}";
  const auto updated = containers_.Update("ns", wanted, {});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_TRUE(updated->labels.empty());
  EXPECT_TRUE(updated->extensions.empty());
  EXPECT_EQ(updated->image, "two");
  EXPECT_EQ(updated->snapshot_key, "k2");
  EXPECT_EQ(updated->spec, wanted.spec);
}

TEST_F(ContainersTest, WhatNeverChangesIsRefused) {
  ASSERT_TRUE(containers_.Create("ns", Sample("c")).ok());
  Container wanted = Sample("c");
  wanted.image = "two";
  wanted.runtime_name = "io.containerd.other.v1";
  EXPECT_EQ(
      containers_.Update("ns", wanted, {}).status(),
      absl::InvalidArgumentError("container.Runtime.Name field is immutable: invalid argument"));
  wanted = Sample("c");
  wanted.snapshotter = "btrfs";
  EXPECT_EQ(
      containers_.Update("ns", wanted, {}).status(),
      absl::InvalidArgumentError("container.Snapshotter field is immutable: invalid argument"));
  for (const std::string path :
       {"id", "runtime", "runtime.name", "created_at", "snapshotter", ""}) {
    const auto updated = containers_.Update("ns", wanted, {"image", path});
    EXPECT_EQ(updated.status().code(), absl::StatusCode::kInvalidArgument) << path;
  }
  EXPECT_EQ(containers_.Get("ns", "c")->image, Sample("c").image);
}

TEST_F(ContainersTest, TheSnapshotterMovesOnlyWithItsKey) {
  ASSERT_TRUE(containers_.Create("ns", Sample("c")).ok());
  Container wanted = Sample("c");
  wanted.snapshotter = "btrfs";
  wanted.snapshot_key = "k2";
  const auto updated = containers_.Update("ns", wanted, {"snapshotter", "snapshotkey"});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->snapshotter, "btrfs");
  EXPECT_EQ(updated->snapshot_key, "k2");
}

TEST_F(ContainersTest, AMaskMayNotEmptyARequiredField) {
  ASSERT_TRUE(containers_.Create("ns", Sample("c")).ok());
  Container wanted = Sample("c");
  wanted.spec = {};
  EXPECT_EQ(containers_.Update("ns", wanted, {"spec"}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(containers_.Get("ns", "c")->spec, Sample("c").spec);
}

TEST_F(ContainersTest, FiltersSeeTheFieldsOfTheContract) {
  ASSERT_TRUE(containers_.Create("ns", Sample("a")).ok());
  Container other = Sample("b");
  other.labels = {};
  other.image = "two";
  other.runtime_name = "io.containerd.other.v1";
  ASSERT_TRUE(containers_.Create("ns", other).ok());
  ASSERT_TRUE(containers_.Create("elsewhere", Sample("c")).ok());
  EXPECT_EQ(Ids({}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Ids({"id==a"}), std::vector<std::string>{"a"});
  EXPECT_EQ(Ids({"id~=^[ab]$", "id==c"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Ids({"image==two"}), std::vector<std::string>{"b"});
  EXPECT_EQ(Ids({"runtime.name==io.containerd.other.v1"}), std::vector<std::string>{"b"});
  EXPECT_EQ(Ids({"labels.app==web"}), std::vector<std::string>{"a"});
  EXPECT_EQ(Ids({R"(labels."a.b/c"==d)"}), std::vector<std::string>{"a"});
  EXPECT_EQ(Ids({"snapshotter==overlayfs,snapshotkey==b"}), std::vector<std::string>{"b"});
  EXPECT_EQ(containers_.List("ns", {"id="}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ContainersTest, TheFirstContainerMakesItsNamespace) {
  ASSERT_TRUE(containers_.Create("fresh", Sample("c")).ok());
  ASSERT_TRUE(store_
                  ->View([](const metadata::Reader& reader) -> absl::Status {
                    EXPECT_TRUE(reader.Get("namespaces", "", "fresh")->has_value());
                    return absl::OkStatus();
                  })
                  .ok());
}

}  // namespace
}  // namespace gantry::containers
