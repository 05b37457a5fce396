#include "services/metadata/store.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <thread>

#include "base/fault_point.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "services/metadata/lease_resources.h"

namespace gantry::metadata {
namespace {

class StoreTest : public testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_.reset();
    auto opened = Store::Open(dir_.path(), {64 << 20});
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
  absl::Status Put(const std::string& ns, const std::string& name, const std::string& value) {
    return store_->Update([&](Writer& writer) { return writer.Put("things", ns, name, value); });
  }
  std::optional<std::string> Get(const std::string& ns, const std::string& name) {
    std::optional<std::string> value;
    EXPECT_TRUE(store_
                    ->View([&](const Reader& reader) -> absl::Status {
                      auto got = reader.Get("things", ns, name);
                      if (got.ok()) value = *got;
                      return got.status();
                    })
                    .ok());
    return value;
  }
  std::vector<std::string> Names(const std::string& ns) {
    std::vector<std::string> names;
    EXPECT_TRUE(store_
                    ->View([&](const Reader& reader) {
                      return reader.ForEach("things", ns,
                                            [&](absl::string_view name, absl::string_view) {
                                              names.emplace_back(name);
                                              return absl::OkStatus();
                                            });
                    })
                    .ok());
    return names;
  }
  TempDir dir_ = *TempDir::Create("gantry-store-test-");
  std::unique_ptr<Store> store_;
};

TEST_F(StoreTest, RecordsSurviveAReopen) {
  ASSERT_TRUE(Put("ns", "a", "1").ok());
  Reopen();
  EXPECT_EQ(Get("ns", "a"), "1");
}

TEST_F(StoreTest, NamespacesDoNotSeeEachOtherEvenIfOneIsThePrefixOfTheOther) {
  ASSERT_TRUE(Put("a", "x", "1").ok());
  ASSERT_TRUE(Put("ab", "y", "2").ok());
  EXPECT_EQ(Names("a"), std::vector<std::string>{"x"});
  EXPECT_EQ(Get("ab", "x"), std::nullopt);
  std::vector<std::string> namespaces;
  ASSERT_TRUE(store_
                  ->View([&](const Reader& reader) -> absl::Status {
                    namespaces = *reader.Namespaces("things");
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(namespaces, (std::vector<std::string>{"a", "ab"}));
}

TEST_F(StoreTest, NamesLongerThanAnLmdbKeyAreKeptApart) {
  const std::string a = absl::StrCat(std::string(600, 'n'), "a");
  const std::string b = absl::StrCat(std::string(600, 'n'), "b");
  ASSERT_TRUE(Put("ns", a, "1").ok());
  ASSERT_TRUE(Put("ns", b, "2").ok());
  EXPECT_EQ(Get("ns", a), "1");
  EXPECT_EQ(Get("ns", b), "2");
  std::vector<std::string> names = Names("ns");
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{a, b}));
}

TEST_F(StoreTest, NamesThatCannotBeAreRefused) {
  EXPECT_EQ(Put("ns", "", "1").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Put("ns", std::string("a\0b", 3), "1").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Put("ns", std::string(4097, 'x'), "1").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(StoreTest, ABodyThatFailsChangesNothingAndHarmsNoOther) {
  std::vector<std::thread> threads;
  std::atomic<int> failed{0};
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 20; ++round) {
        const absl::Status status = store_->Update([&](Writer& writer) -> absl::Status {
          absl::Status put = writer.Put("things", "ns", absl::StrCat(i, "-", round), "v");
          if (i % 2 == 1) return absl::AbortedError("no");
          return put;
        });
        failed += status.ok() ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(failed, 80);
  EXPECT_EQ(Names("ns").size(), 80u);
}

TEST_F(StoreTest, ReadersSeeWholeTransactionsWhileOthersWrite) {
  ASSERT_TRUE(Put("ns", "a", "0").ok());
  ASSERT_TRUE(Put("ns", "b", "0").ok());
  std::atomic<bool> stop{false};
  std::atomic<int> torn{0};
  std::atomic<int> failed{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 16; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const absl::Status status = store_->View([&](const Reader& reader) -> absl::Status {
          const auto a = reader.Get("things", "ns", "a");
          const auto b = reader.Get("things", "ns", "b");
          if (!a.ok()) return a.status();
          if (!b.ok()) return b.status();
          torn += **a == **b ? 0 : 1;
          return absl::OkStatus();
        });
        failed += status.ok() ? 0 : 1;
      }
    });
  }
  for (int round = 1; round <= 200; ++round) {
    const std::string value = absl::StrCat(round);
    ASSERT_TRUE(store_
                    ->Update([&](Writer& writer) -> absl::Status {
                      EXPECT_TRUE(writer.Put("things", "ns", "a", value).ok());
                      return writer.Put("things", "ns", "b", value);
                    })
                    .ok());
    // An acknowledged write is seen by whoever reads next.
    ASSERT_EQ(Get("ns", "b"), value);
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(failed, 0);
}

TEST_F(StoreTest, AWriterReadsWhatItHasWritten) {
  ASSERT_TRUE(store_
                  ->Update([](Writer& writer) -> absl::Status {
                    EXPECT_TRUE(writer.Put("things", "ns", "a", "1").ok());
                    EXPECT_EQ(**writer.Get("things", "ns", "a"), "1");
                    EXPECT_TRUE(*writer.Delete("things", "ns", "a"));
                    EXPECT_FALSE(*writer.Delete("things", "ns", "a"));
                    return absl::OkStatus();
                  })
                  .ok());
}

TEST_F(StoreTest, SequencesCountUp) {
  for (uint64_t wanted = 1; wanted <= 3; ++wanted) {
    uint64_t number = 0;
    ASSERT_TRUE(store_
                    ->Update([&](Writer& writer) -> absl::Status {
                      number = *writer.NextSequence("s");
                      return absl::OkStatus();
                    })
                    .ok());
    EXPECT_EQ(number, wanted);
  }
}

TEST_F(StoreTest, ASecondOpenIsRefused) {
  const auto second = Store::Open(dir_.path());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().message().find(dir_.path()), absl::string_view::npos);
}

TEST_F(StoreTest, AFileThatIsNoDatabaseIsReportedAndLeftAlone) {
  store_.reset();
  const std::string file = dir_.path() + "/meta.mdb";
  const std::string junk(8192, 'J');
  ASSERT_TRUE(WriteFileAtomic(file, junk, 0600, Durability::kNotDurable).ok());
  const auto opened = Store::Open(dir_.path());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss) << opened.status();
  EXPECT_EQ(*ReadFile(file), junk);
}

TEST_F(StoreTest, WhatWasAcknowledgedSurvivesAKillAtTheCommit) {
  store_.reset();
  for (const char* point : {"metadata.commit.before", "metadata.commit.after"}) {
    int pipes[2];
    ASSERT_EQ(::pipe2(pipes, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      auto store = Store::Open(dir_.path(), {64 << 20});
      for (int i = 0; store.ok() && i < 5; ++i) {
        if (i == 3) ArmFault(point, "crash").IgnoreError();
        const std::string name = absl::StrCat(point, i);
        if ((*store)
                ->Update([&](Writer& writer) { return writer.Put("things", "ns", name, "v"); })
                .ok()) {
          [[maybe_unused]] const ssize_t put = ::write(pipes[1], "x", 1);
        }
      }
      ::_exit(0);
    }
    ::close(pipes[1]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << point;
    char acknowledged[16];
    const ssize_t count = ::read(pipes[0], acknowledged, sizeof acknowledged);
    ::close(pipes[0]);
    EXPECT_EQ(count, 3);
    Reopen();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(Get("ns", absl::StrCat(point, i)), "v");
    store_.reset();
  }
}

TEST_F(StoreTest, ALeaseHoldsWhatWasAttachedUntilItIsCleared) {
  ASSERT_TRUE(
      store_->Update([](Writer& writer) { return writer.Put("leases", "ns", "l", ""); }).ok());
  const auto attach = [this](const std::string& lease, const std::string& id) {
    return store_->Update(
        [&](Writer& writer) { return AttachToLease(writer, "ns", lease, "content", id); });
  };
  EXPECT_TRUE(attach("", "x").ok());
  EXPECT_EQ(attach("missing", "x").code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(attach("l", "x").ok());
  EXPECT_TRUE(attach("l", "x").ok());
  EXPECT_TRUE(attach("l", "y").ok());
  ASSERT_TRUE(store_
                  ->Update([](Writer& writer) -> absl::Status {
                    EXPECT_EQ(ResourcesOfLease(writer, "ns", "l")->size(), 2u);
                    return ClearLease(writer, "ns", "l");
                  })
                  .ok());
  ASSERT_TRUE(store_
                  ->View([](const Reader& reader) -> absl::Status {
                    EXPECT_TRUE(ResourcesOfLease(reader, "ns", "l")->empty());
                    return absl::OkStatus();
                  })
                  .ok());
}

class SchemaTest : public testing::Test {
 protected:
  std::string Path() const { return dir_.path() + "/meta"; }
  absl::StatusOr<std::unique_ptr<Store>> Open(const std::vector<SchemaStep>& steps = {}) {
    return Store::Open(Path(), {.map_size_bytes = 64 << 20, .schema_steps = steps});
  }
  static std::string ValueOf(const Store& store, absl::string_view name) {
    std::string value;
    EXPECT_TRUE(store
                    .View([&](const Reader& reader) -> absl::Status {
                      value = reader.Get("things", "ns", name)->value_or("none");
                      return absl::OkStatus();
                    })
                    .ok());
    return value;
  }
  // A step that puts `suffix` behind what is there.
  static SchemaStep Appends(const std::string& suffix) {
    return [suffix](Writer& writer) -> absl::Status {
      const absl::StatusOr<std::optional<std::string>> old = writer.Get("things", "ns", "a");
      return writer.Put("things", "ns", "a", (*old).value_or("") + suffix);
    };
  }
  void SetUp() override {
    const auto first = Open();
    ASSERT_TRUE(first.ok()) << first.status();
    ASSERT_TRUE((*first)
                    ->Update([](Writer& writer) { return writer.Put("things", "ns", "a", "v1"); })
                    .ok());
  }
  TempDir dir_ = *TempDir::Create("gantry-schema-test-");
};

TEST_F(SchemaTest, AnOlderStoreGoesThroughTheStepsThatItLacks) {
  ASSERT_EQ(ValueOf(**Open({Appends("+2")}), "a"), "v1+2");
  EXPECT_EQ(ValueOf(**Open({Appends("+2")}), "a"), "v1+2") << "a step is taken once";
  EXPECT_EQ(ValueOf(**Open({Appends("+2"), Appends("+3"), Appends("+4")}), "a"), "v1+2+3+4");
}

TEST_F(SchemaTest, AnUpgradeThatFailsHasChangedNothing) {
  const auto broken = Open({Appends("+2"), [](Writer&) -> absl::Status {
                              return absl::DataLossError("a record makes no sense");
                            }});
  EXPECT_EQ(broken.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_NE(std::string(broken.status().message())
                .find("upgrade the metadata store from schema version 1 to 3"),
            std::string::npos)
      << broken.status();
  EXPECT_EQ(ValueOf(**Open(), "a"), "v1");
}

TEST_F(SchemaTest, AStoreOfALaterReleaseIsRefused) {
  ASSERT_TRUE(Open({Appends("+2")}).ok());
  EXPECT_EQ(Open().status().code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace gantry::metadata
