#include "cli/state_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "base/file.h"
#include "base/temp_dir.h"

namespace gantry::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class StateStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<TempDir> dir = TempDir::Create("gantry-state-");
    ASSERT_TRUE(dir.ok()) << dir.status();
    dir_.emplace(*std::move(dir));
    store_.emplace(dir_->path() + "/root");
  }

  static ContainerRecord Record() {
    ContainerRecord record;
    record.id = "box";
    record.oci_version = "1.0.2";
    record.bundle = "/bundle";
    record.rootfs = "/bundle/rootfs";
    record.init = {42, 123456789, "boot"};
    record.created = absl::FromUnixNanos(1234567890123456789);
    record.cgroups_path = "/box";
    record.no_new_keyring = true;
    record.annotations = {{"a", "b \"c\""}};
    return record;
  }

  std::optional<TempDir> dir_;
  std::optional<StateStore> store_;
};

TEST_F(StateStoreTest, ARecordComesBackAsItWasWritten) {
  absl::StatusOr<ContainerDir> made = store_->Make("box");
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_TRUE(absl::IsNotFound(made->ReadRecord().status()));
  const ContainerRecord record = Record();
  ASSERT_EQ(made->WriteRecord(record), absl::OkStatus());
  ASSERT_EQ(made->WriteConfig("{}"), absl::OkStatus());
  const absl::StatusOr<ContainerRecord> read = made->ReadRecord();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->init, record.init);
  EXPECT_EQ(read->created, record.created);
  EXPECT_EQ(read->annotations, record.annotations);
  EXPECT_TRUE(read->no_new_keyring);
  EXPECT_FALSE(read->systemd_cgroup);
  EXPECT_EQ(made->ReadConfig().value_or(""), "{}");
}

TEST_F(StateStoreTest, AnIdIsMadeOnceAndListedUntilItIsRemoved) {
  EXPECT_THAT(store_->List().value(), IsEmpty());
  const absl::StatusOr<ContainerDir> made = store_->Make("box");
  ASSERT_TRUE(made.ok());
  const absl::Status again = store_->Make("box").status();
  EXPECT_TRUE(absl::IsAlreadyExists(again));
  EXPECT_EQ(again.message(), "container with given ID already exists");
  EXPECT_THAT(store_->List().value(), ElementsAre("box"));
  EXPECT_EQ(made->Remove(), absl::OkStatus());
  EXPECT_THAT(store_->List().value(), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(store_->Open("box", StateStore::Lock::kNone).status()));
}

TEST_F(StateStoreTest, NamesThatLeadElsewhereAreNoIds) {
  for (const std::string& id : {std::string(""), std::string("."), std::string(".."),
                                std::string("a/b"), std::string("../x"), std::string(".seccomp"),
                                std::string("a b"), std::string("a\nb"), std::string(2000, 'x')}) {
    EXPECT_TRUE(absl::IsInvalidArgument(store_->Make(id).status())) << id;
    EXPECT_FALSE(store_->Open(id, StateStore::Lock::kNone).ok()) << id;
  }
  EXPECT_TRUE(store_->Make("A_b+c-d.e,9").ok());
}

TEST_F(StateStoreTest, WhoWaitsForTheLockOfARemovedContainerFindsNone) {
  absl::StatusOr<ContainerDir> made = store_->Make("box");
  ASSERT_TRUE(made.ok());
  EXPECT_FALSE(made->LockedByOther());
  absl::Status found;
  std::thread waiter([&] { found = store_->Open("box", StateStore::Lock::kExclusive).status(); });
  EXPECT_TRUE(store_->Open("box", StateStore::Lock::kNone)->LockedByOther());
  EXPECT_EQ(made->Remove(), absl::OkStatus());
  made = absl::CancelledError();  // lets go of the lock
  waiter.join();
  EXPECT_TRUE(absl::IsNotFound(found)) << found;
}

TEST_F(StateStoreTest, ADamagedRecordIsNamedAndNothingIsMadeOfIt) {
  const absl::StatusOr<ContainerDir> made = store_->Make("box");
  ASSERT_TRUE(made.ok());
  const std::string path = made->path() + "/state.json";
  for (const char* text : {"", "{", "[]", "null", "{\"format\":1}", "{\"format\":\"one\"}"}) {
    ASSERT_EQ(WriteFileAtomic(path, text, 0600, Durability::kNotDurable), absl::OkStatus());
    const absl::Status status = made->ReadRecord().status();
    EXPECT_FALSE(status.ok() || absl::IsNotFound(status)) << text;
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  }
}

}  // namespace
}  // namespace gantry::cli
