#include "services/leases/leases.h"

#include <gtest/gtest.h>

#include <set>

#include "base/digest.h"
#include "tests/unit/services/metadata/temp_store.h"

namespace gantry::leases {
namespace {

using metadata::LeaseResource;

class LeasesTest : public testing::Test {
 protected:
  absl::StatusOr<Lease> Create(const std::string& id, const Labels& labels = {}) {
    Lease lease;
    lease.id = id;
    lease.labels = labels;
    return leases_.Create("ns", lease);
  }
  std::vector<std::string> Ids(const std::vector<std::string>& filters) {
    std::vector<std::string> ids;
    const auto list = leases_.List("ns", filters);
    EXPECT_TRUE(list.ok()) << list.status();
    if (list.ok()) {
      for (const Lease& lease : *list) ids.push_back(lease.id);
    }
    return ids;
  }
  metadata::TempStore store_;
  Leases leases_{*store_};
};

TEST_F(LeasesTest, SurviveARestartWithLabelsAndResources) {
  ASSERT_TRUE(Create("l", {{"containerd.io/gc.expire", "2030-01-02T03:04:05Z"}}).ok());
  ASSERT_TRUE(leases_.AddResource("ns", "l", {"ingests", "ref"}).ok());
  store_.Reopen();
  Leases again(*store_);
  const auto list = again.List("ns", {});
  ASSERT_EQ(list->size(), 1u);
  EXPECT_EQ((*list)[0].labels.at("containerd.io/gc.expire"), "2030-01-02T03:04:05Z");
  EXPECT_GT((*list)[0].created_at, absl::FromUnixSeconds(1000000000));
  EXPECT_EQ(again.ListResources("ns", "l")->size(), 1u);
}

TEST_F(LeasesTest, OneWithoutAnIdGetsAnIdOfItsOwn) {
  std::set<std::string> ids;
  for (int i = 0; i < 20; ++i) ids.insert(Create("")->id);
  EXPECT_EQ(ids.size(), 20u);
  EXPECT_EQ(ids.count(""), 0u);
  EXPECT_EQ(Ids({}).size(), 20u);
}

TEST_F(LeasesTest, AnIdIsTakenOnceAndMayBeAnyText) {
  ASSERT_TRUE(Create("a/b c").ok());
  EXPECT_EQ(Create("a/b c").status(), absl::AlreadyExistsError("lease \"a/b c\": already exists"));
  EXPECT_EQ(Create(std::string("a\0b", 3)).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Create(std::string(257, 'x')).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(LeasesTest, ATimeOfExpiryThatCannotBeReadIsRefused) {
  const auto made = Create("l", {{"containerd.io/gc.expire", "tomorrow"}});
  EXPECT_EQ(made.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(made.status().message().find("tomorrow"), absl::string_view::npos);
  EXPECT_TRUE(Ids({}).empty());
}

TEST_F(LeasesTest, ResourcesAreAddedOnceAndTakenAway) {
  ASSERT_TRUE(Create("l").ok());
  const LeaseResource blob{"content", Sha256("x").text()};
  const LeaseResource snapshot{"snapshots/overlayfs", "sha256:chain id"};
  for (const LeaseResource& resource : {blob, snapshot, blob}) {
    ASSERT_TRUE(leases_.AddResource("ns", "l", resource).ok());
  }
  EXPECT_EQ(*leases_.ListResources("ns", "l"), (std::vector<LeaseResource>{blob, snapshot}));
  ASSERT_TRUE(leases_.DeleteResource("ns", "l", blob).ok());
  ASSERT_TRUE(leases_.DeleteResource("ns", "l", blob).ok());
  EXPECT_EQ(*leases_.ListResources("ns", "l"), std::vector<LeaseResource>{snapshot});
}

TEST_F(LeasesTest, ResourcesThatCannotBeAreRefused) {
  ASSERT_TRUE(Create("l").ok());
  for (const LeaseResource& resource :
       {LeaseResource{"content", "no digest"}, LeaseResource{"content", ""},
        LeaseResource{"ingests", ""}}) {
    EXPECT_EQ(leases_.AddResource("ns", "l", resource).code(), absl::StatusCode::kInvalidArgument)
        << resource.type << " " << resource.id;
  }
  for (const std::string type : {"snapshots/", "snapshots", "snapshots/a/b", "ingests/x"}) {
    EXPECT_EQ(leases_.AddResource("ns", "l", {type, "x"}).code(),
              absl::StatusCode::kInvalidArgument)
        << type;
  }
  for (const std::string type : {"", "volumes"}) {
    EXPECT_EQ(leases_.AddResource("ns", "l", {type, "x"}).code(), absl::StatusCode::kUnimplemented)
        << type;
  }
  EXPECT_TRUE(leases_.ListResources("ns", "l")->empty());
}

TEST_F(LeasesTest, WhatIsMissingIsNotFound) {
  const absl::Status wanted = absl::NotFoundError("lease \"l\": not found");
  EXPECT_EQ(leases_.Delete("ns", "l"), wanted);
  EXPECT_EQ(leases_.ListResources("ns", "l").status(), wanted);
  EXPECT_EQ(leases_.AddResource("ns", "l", {"ingests", "r"}), wanted);
  EXPECT_EQ(leases_.DeleteResource("ns", "l", {"ingests", "r"}), wanted);
}

TEST_F(LeasesTest, ADeletedOneHoldsNothingWhenItIsMadeAgain) {
  ASSERT_TRUE(Create("l").ok());
  // Ids of which one is the prefix of the other are kept apart.
  ASSERT_TRUE(Create("l2").ok());
  ASSERT_TRUE(leases_.AddResource("ns", "l", {"ingests", "r"}).ok());
  ASSERT_TRUE(leases_.AddResource("ns", "l2", {"ingests", "r"}).ok());
  ASSERT_TRUE(leases_.Delete("ns", "l").ok());
  ASSERT_TRUE(Create("l").ok());
  EXPECT_TRUE(leases_.ListResources("ns", "l")->empty());
  EXPECT_EQ(leases_.ListResources("ns", "l2")->size(), 1u);
}

TEST_F(LeasesTest, FiltersSeeIdsAndLabels) {
  ASSERT_TRUE(Create("a", {{"k", "v"}}).ok());
  ASSERT_TRUE(Create("b").ok());
  EXPECT_EQ(Ids({"id==a"}), std::vector<std::string>{"a"});
  EXPECT_EQ(Ids({"labels.k==v", "id==b"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Ids({"labels.k"}), std::vector<std::string>{"a"});
}

}  // namespace
}  // namespace gantry::leases
