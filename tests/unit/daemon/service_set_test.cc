#include "daemon/service_set.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gantry::daemon {
namespace {

using testing::HasSubstr;

TEST(ServiceSetTest, AllServicesAreServedUnlessSomeAreNamed) {
  EXPECT_TRUE(ServiceSet().IsWhole());
  EXPECT_EQ(ServiceSet().Text(),
            "containers,content,diff,events,images,leases,namespaces,snapshots,tasks");
}

TEST(ServiceSetTest, AListServesWhatItNamesAndNothingElse) {
  const auto set = ServiceSet::Parse("snapshots, content");
  ASSERT_TRUE(set.ok()) << set.status();
  EXPECT_TRUE(set->Has(Service::kContent));
  EXPECT_TRUE(set->Has(Service::kSnapshots));
  EXPECT_FALSE(set->Has(Service::kImages));
  EXPECT_FALSE(set->IsWhole());
  EXPECT_EQ(set->Text(), "content,snapshots");
}

TEST(ServiceSetTest, AnUnknownNameIsRefusedWithTheKnownOnes) {
  for (const char* list : {"content,snapshotz", "", "content,", "Content"}) {
    const auto set = ServiceSet::Parse(list);
    EXPECT_EQ(set.status().code(), absl::StatusCode::kInvalidArgument) << list;
    EXPECT_THAT(std::string(set.status().message()), HasSubstr("containers, content, diff"));
  }
  EXPECT_THAT(std::string(ServiceSet::Parse("content,snapshotz").status().message()),
              HasSubstr("\"snapshotz\""));
}

TEST(ServiceSetTest, TasksAreNotServedWithoutWhatTheyAreMadeFrom) {
  EXPECT_THAT(std::string(ServiceSet::Parse("tasks,events").status().message()),
              HasSubstr("without containers"));
  EXPECT_TRUE(ServiceSet::Parse("tasks,containers,events").ok());
}

}  // namespace
}  // namespace gantry::daemon
