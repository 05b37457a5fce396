#include "services/namespaces/namespaces.h"

#include <gtest/gtest.h>

#include "services/metadata/lease_resources.h"
#include "services/metadata/namespaces.h"
#include "tests/unit/services/metadata/temp_store.h"

namespace gantry::namespaces {
namespace {

class NamespacesTest : public testing::Test {
 protected:
  std::vector<std::string> Names(const std::string& filter = "") {
    std::vector<std::string> names;
    const auto list = namespaces_.List(filter);
    EXPECT_TRUE(list.ok()) << list.status();
    for (const Namespace& ns : *list) names.push_back(ns.name);
    return names;
  }
  void Put(const std::string& bucket, const std::string& ns, const std::string& name) {
    ASSERT_TRUE(store_
                    ->Update([&](metadata::Writer& writer) -> absl::Status {
                      absl::Status status = metadata::EnsureNamespace(writer, ns);
                      return status.ok() ? writer.Put(bucket, ns, name, "x") : status;
                    })
                    .ok());
  }
  metadata::TempStore store_;
  Namespaces namespaces_{*store_};
};

TEST_F(NamespacesTest, AreMadeOnceAndListedByName) {
  ASSERT_TRUE(namespaces_.Create({"b", {{"k", "v"}}}).ok());
  ASSERT_TRUE(namespaces_.Create({"a", {}}).ok());
  const auto again = namespaces_.Create({"b", {}});
  EXPECT_EQ(again.status(), absl::AlreadyExistsError("namespace \"b\": already exists"));
  EXPECT_EQ(Names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(namespaces_.Get("b")->labels, (Labels{{"k", "v"}}));
}

TEST_F(NamespacesTest, NamesThatAreNoIdentifiersAreRefused) {
  for (const std::string name : {"", "b@d", "-x", "x-", "a..b", "a/b"}) {
    const auto made = namespaces_.Create({name, {}});
    EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
  EXPECT_NE(namespaces_.Create({"b@d", {}}).status().message().find("must match"),
            absl::string_view::npos);
  EXPECT_NE(namespaces_.Create({std::string(77, 'x'), {}}).status().message().find("76"),
            absl::string_view::npos);
  EXPECT_EQ(Names(), std::vector<std::string>{});
}

TEST_F(NamespacesTest, LabelsAreSetAndRemovedOneByOne) {
  ASSERT_TRUE(namespaces_.Create({"n", {{"a", "1"}, {"b", "2"}}}).ok());
  EXPECT_EQ(namespaces_.Update({"n", {{"a", "9"}}}, {"labels.a"})->labels,
            (Labels{{"a", "9"}, {"b", "2"}}));
  EXPECT_EQ(namespaces_.Update({"n", {{"a", ""}}}, {"labels.a"})->labels, (Labels{{"b", "2"}}));
  EXPECT_EQ(namespaces_.Update({"n", {{"c", "3"}}}, {"labels"})->labels, (Labels{{"c", "3"}}));
  EXPECT_EQ(namespaces_.Get("n")->labels, (Labels{{"c", "3"}}));
}

TEST_F(NamespacesTest, WithoutAMaskAllLabelsAreThoseOfTheRequest) {
  ASSERT_TRUE(namespaces_.Create({"n", {{"a", "1"}, {"b", "2"}}}).ok());
  EXPECT_EQ(namespaces_.Update({"n", {{"a", "9"}, {"c", "3"}}}, {})->labels,
            (Labels{{"a", "9"}, {"c", "3"}}));
  EXPECT_EQ(namespaces_.Get("n")->labels, (Labels{{"a", "9"}, {"c", "3"}}));
}

TEST_F(NamespacesTest, AnUnknownMaskChangesNothing) {
  ASSERT_TRUE(namespaces_.Create({"n", {{"a", "1"}}}).ok());
  const auto updated = namespaces_.Update({"n", {}}, {"labels", "name"});
  EXPECT_EQ(updated.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(namespaces_.Get("n")->labels, (Labels{{"a", "1"}}));
}

TEST_F(NamespacesTest, LabelingAMissingOneMakesIt) {
  EXPECT_TRUE(namespaces_.Update({"n", {{"k", "v"}}}, {"labels.k"}).ok());
  EXPECT_EQ(Names(), std::vector<std::string>{"n"});
}

TEST_F(NamespacesTest, ALabelOfMoreThan4096BytesIsRefused) {
  EXPECT_TRUE(namespaces_.Create({"fits", {{"k", std::string(4095, 'v')}}}).ok());
  EXPECT_EQ(namespaces_.Create({"n", {{"k", std::string(4096, 'v')}}}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(NamespacesTest, FiltersSeeNamesAndLabels) {
  ASSERT_TRUE(namespaces_.Create({"a", {{"k", "v"}}}).ok());
  ASSERT_TRUE(namespaces_.Create({"b", {}}).ok());
  EXPECT_EQ(Names("name==b"), std::vector<std::string>{"b"});
  EXPECT_EQ(Names("labels.k"), std::vector<std::string>{"a"});
  EXPECT_EQ(namespaces_.List("name=").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(NamespacesTest, OneThatHoldsThingsIsNotDeletedAndSaysWhat) {
  Put("snapshots/overlayfs", "n", "s");
  Put("snapshots/native", "n", "s");
  Put("containers", "n", "c");
  Put("blobs", "n", "b");
  Put("images", "n", "i");
  // Another namespace of which this is the prefix does not count.
  Put("images", "n2", "i");
  EXPECT_EQ(namespaces_.Delete("n"),
            absl::FailedPreconditionError(
                "namespace \"n\" must be empty, but it still has images, blobs, containers, "
                "snapshots on \"native\" snapshotter, snapshots on \"overlayfs\" snapshotter: "
                "failed precondition"));
  EXPECT_EQ(Names(), (std::vector<std::string>{"n", "n2"}));
}

TEST_F(NamespacesTest, DeletingTakesTheLeasesAlong) {
  Put("leases", "n", "l");
  Put("leases", "n2", "l");
  ASSERT_TRUE(store_
                  ->Update([](metadata::Writer& writer) {
                    return metadata::AttachToLease(writer, "n", "l", "content", "x");
                  })
                  .ok());
  ASSERT_TRUE(namespaces_.Delete("n").ok());
  EXPECT_EQ(Names(), std::vector<std::string>{"n2"});
  ASSERT_TRUE(store_
                  ->View([](const metadata::Reader& reader) -> absl::Status {
                    EXPECT_FALSE(*reader.HasAny("leases", "n"));
                    EXPECT_TRUE(metadata::ResourcesOfLease(reader, "n", "l")->empty());
                    EXPECT_TRUE(*reader.HasAny("leases", "n2"));
                    return absl::OkStatus();
                  })
                  .ok());
}

TEST_F(NamespacesTest, OneThatWasNeverMadeIsReadAsOneWithoutLabels) {
  const absl::StatusOr<Namespace> ns = namespaces_.Get("n");
  ASSERT_TRUE(ns.ok()) << ns.status();
  EXPECT_EQ(ns->name, "n");
  EXPECT_TRUE(ns->labels.empty());
  EXPECT_TRUE(namespaces_.List("")->empty());
}

TEST_F(NamespacesTest, WhatIsMissingIsNotFound) {
  const absl::Status wanted = absl::NotFoundError("namespace \"n\": not found");
  EXPECT_EQ(namespaces_.Delete("n"), wanted);
}

}  // namespace
}  // namespace gantry::namespaces
