// What Store::Open makes of files that are broken in the ways disks break them.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/file.h"
#include "base/temp_dir.h"
#include "base/unique_fd.h"
#include "services/metadata/page_check.h"
#include "services/metadata/store.h"

namespace gantry::metadata {
namespace {

constexpr int kRecords = 2000;

class DamageTest : public testing::Test {
 protected:
  void SetUp() override {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)
                    ->Update([](Writer& writer) -> absl::Status {
                      for (int i = 0; i < kRecords; ++i) {
                        GANTRY_RETURN_IF_ERROR(writer.Put("things", "ns", absl::StrCat("name-", i),
                                                          std::string(100, 'v')));
                      }
                      return absl::OkStatus();
                    })
                    .ok());
    store->reset();
    size_ = Size();
  }
  absl::StatusOr<std::unique_ptr<Store>> Open() {
    return Store::Open(dir_.path(), {size_t{64} << 20});
  }
  off_t Size() {
    struct stat st {};
    EXPECT_EQ(::stat(file_.c_str(), &st), 0);
    return st.st_size;
  }
  static int Count(const Store& store) {
    int count = 0;
    EXPECT_TRUE(store
                    .View([&count](const Reader& reader) {
                      return reader.ForEach("things", "ns",
                                            [&count](absl::string_view, absl::string_view) {
                                              ++count;
                                              return absl::OkStatus();
                                            });
                    })
                    .ok());
    return count;
  }
  void ExpectRefused() {
    const off_t before = Size();
    const auto opened = Open();
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.status().code(), absl::StatusCode::kDataLoss) << opened.status();
    EXPECT_NE(opened.status().message().find(file_), absl::string_view::npos) << opened.status();
    EXPECT_EQ(Size(), before) << "a broken file is left as it is";
  }

  TempDir dir_ = *TempDir::Create("gantry-damage-test-");
  const std::string file_ = dir_.path() + "/meta.mdb";
  off_t size_ = 0;
};

TEST_F(DamageTest, AFileThatWasCutIsRefusedAndNotABusError) {
  for (const off_t size : {size_ / 2, off_t{3 * 4096}, off_t{2 * 4096}}) {
    ASSERT_EQ(::truncate(file_.c_str(), size), 0);
    SCOPED_TRACE(size);
    ExpectRefused();
  }
}

TEST_F(DamageTest, AFileCutInItsHeaderIsRefused) {
  ASSERT_EQ(::truncate(file_.c_str(), 100), 0);
  ExpectRefused();
}

TEST_F(DamageTest, PagesOfZerosAreFoundAtOpen) {
  const UniqueFd fd(::open(file_.c_str(), O_WRONLY | O_CLOEXEC));
  const std::string zeros(4096 * 8, '\0');
  ASSERT_EQ(::pwrite(fd.get(), zeros.data(), zeros.size(), 4096 * 10),
            static_cast<ssize_t>(zeros.size()));
  ExpectRefused();
}

// Whatever one page is overwritten with, Open and a walk over all records end in a status.
TEST_F(DamageTest, AnyPageOfGarbageIsAnErrorAndNotACrash) {
  const std::string whole = *ReadFile(file_);
  int refused = 0;
  const size_t pages = whole.size() / 4096;
  for (size_t page = 0; page < pages; page += 3) {
    for (const char fill : {'\xff', '\x01', 'J'}) {
      std::string broken = whole;
      broken.replace(page * 4096, 4096, 4096, fill);
      ASSERT_TRUE(WriteFileAtomic(file_, broken, 0600, Durability::kNotDurable).ok());
      auto store = Open();
      if (!store.ok()) {
        EXPECT_EQ(store.status().code(), absl::StatusCode::kDataLoss) << store.status();
        ++refused;
        continue;
      }
      // Only a page that is free may be garbage.
      EXPECT_EQ(Count(**store), kRecords) << page;
    }
  }
  EXPECT_GT(refused, static_cast<int>(pages) / 2);
}

TEST_F(DamageTest, AStoreInUseForLongPassesTheCheck) {
  for (int round = 0; round < 20; ++round) {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status() << " in round " << round;
    ASSERT_TRUE(
        (*store)
            ->Update([round](Writer& writer) -> absl::Status {
              for (int i = 0; i < 200; ++i) {
                const std::string name = absl::StrCat("name-", (i * 7 + round * 131) % 2500);
                const size_t size = i % 10 == 0 ? 20000u + 997u * i : 50u + i;
                if ((i + round) % 3 == 0) {
                  GANTRY_RETURN_IF_ERROR(writer.Delete("things", "ns", name).status());
                } else {
                  GANTRY_RETURN_IF_ERROR(writer.Put("things", "ns", name, std::string(size, 'w')));
                }
              }
              return absl::OkStatus();
            })
            .ok());
  }
  EXPECT_TRUE(CheckPages(file_).ok()) << CheckPages(file_);
}

TEST_F(DamageTest, AStoreWhosePathIsADirectoryIsRefusedByName) {
  ASSERT_EQ(::unlink(file_.c_str()), 0);
  ASSERT_EQ(::mkdir(file_.c_str(), 0700), 0);
  const auto opened = Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().message().find(file_), absl::string_view::npos) << opened.status();
}

TEST_F(DamageTest, ASchemaOfALaterReleaseIsRefusedAndKept) {
  {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)
                    ->Update([](Writer& writer) { return writer.Put("meta", "", "schema", "999"); })
                    .ok());
  }
  const std::string before = *ReadFile(file_);
  const auto opened = Open();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(opened.status().message().find("999"), absl::string_view::npos) << opened.status();
  EXPECT_EQ(*ReadFile(file_), before);
}

TEST_F(DamageTest, AFullMapFailsTheWriteAndLeavesTheRest) {
  const TempDir dir = *TempDir::Create("gantry-damage-test-");
  auto store = Store::Open(dir.path(), {size_t{1} << 20});
  ASSERT_TRUE(store.ok()) << store.status();
  const auto put = [&](const std::string& name, size_t size) {
    return (*store)->Update(
        [&](Writer& writer) { return writer.Put("things", "ns", name, std::string(size, 'v')); });
  };
  ASSERT_TRUE(put("small", 10).ok());
  EXPECT_EQ(put("huge", size_t{2} << 20).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(put("after", 10).ok());
}

TEST_F(DamageTest, NothingOfTheStoreIsInheritedByPrograms) {
  auto store = Open();
  ASSERT_TRUE(store.ok()) << store.status();
  for (int fd = 3; fd < 64; ++fd) {
    char path[4096];
    const ssize_t size = ::readlink(absl::StrCat("/proc/self/fd/", fd).c_str(), path, sizeof path);
    if (size <= 0) continue;
    const absl::string_view target(path, static_cast<size_t>(size));
    if (target.find(dir_.path()) == absl::string_view::npos) continue;
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << target;
  }
}

}  // namespace
}  // namespace gantry::metadata
