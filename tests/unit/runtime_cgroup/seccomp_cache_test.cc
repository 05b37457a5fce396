#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/temp_dir.h"
#include "runtime/seccomp/seccomp.h"

namespace gantry::runtime {
namespace {

LinuxSeccomp Profile(uint32_t errno_ret) {
  LinuxSeccomp profile;
  profile.default_action = "SCMP_ACT_ALLOW";
  profile.syscalls.push_back(SeccompSyscall{{"getpid"}, "SCMP_ACT_ERRNO", errno_ret, {}});
  return profile;
}

bool Same(const SeccompProgram& a, const SeccompProgram& b) {
  return a.flags == b.flags && a.uses_notify == b.uses_notify &&
         a.filter.size() == b.filter.size() &&
         std::memcmp(a.filter.data(), b.filter.data(), a.filter.size() * sizeof(sock_filter)) == 0;
}

class SeccompCacheTest : public testing::Test {
 protected:
  TempDir dir_ = *TempDir::Create("gantry-seccomp");
  const std::string cache_dir_ = dir_.path() + "/cache";
  const LinuxSeccomp profile_ = Profile(1);
  const std::string file_ = cache_dir_ + "/" + SeccompCacheKey(profile_);
};

TEST_F(SeccompCacheTest, TheSecondTimeIsTheSameObject) {
  SeccompCache cache("");
  const auto first = cache.Compile(profile_);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*first, *cache.Compile(profile_));
  EXPECT_NE(*first, *cache.Compile(Profile(2)));
}

TEST_F(SeccompCacheTest, AnotherCacheTakesTheProgramFromDisk) {
  const auto first = SeccompCache(cache_dir_).Compile(profile_);
  ASSERT_TRUE(first.ok()) << first.status();
  // Another profile's program under this profile's name: only a reader of the disk can give it.
  ASSERT_TRUE(SeccompCache(cache_dir_).Compile(Profile(77)).ok());
  ASSERT_EQ(::rename((cache_dir_ + "/" + SeccompCacheKey(Profile(77))).c_str(), file_.c_str()), 0);
  const auto second = SeccompCache(cache_dir_).Compile(profile_);
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(Same(**first, **second));
  EXPECT_TRUE(Same(**second, *CompileSeccomp(Profile(77))));
}

TEST_F(SeccompCacheTest, AFileThatIsDamagedIsReplaced) {
  const auto right = SeccompCache(cache_dir_).Compile(profile_);
  ASSERT_TRUE(right.ok());
  const std::string good = *ReadFile(file_);
  std::string flipped = good;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  std::string other_flags = good;
  other_flags[65] = static_cast<char>(other_flags[65] ^ 1);
  for (const std::string& bad : {flipped, other_flags, good.substr(0, good.size() - 4),
                                 std::string(), std::string(100, 'a')}) {
    ASSERT_TRUE(WriteFileAtomic(file_, bad, 0600, Durability::kNotDurable).ok());
    const auto again = SeccompCache(cache_dir_).Compile(profile_);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_TRUE(Same(**again, **right));
    EXPECT_EQ(*ReadFile(file_), good);
  }
}

TEST_F(SeccompCacheTest, AFileOfAnotherUserOrOpenToOthersIsNotBelieved) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_TRUE(SeccompCache(cache_dir_).Compile(Profile(77)).ok());
  const std::string foreign = *ReadFile(cache_dir_ + "/" + SeccompCacheKey(Profile(77)));
  const auto plant = [&](mode_t mode, uid_t owner) {
    ASSERT_TRUE(WriteFileAtomic(file_, foreign, 0600, Durability::kNotDurable).ok());
    ASSERT_EQ(::chmod(file_.c_str(), mode), 0);
    ASSERT_EQ(::chown(file_.c_str(), owner, 0), 0);
    const auto program = SeccompCache(cache_dir_).Compile(profile_);
    ASSERT_TRUE(program.ok());
    EXPECT_TRUE(Same(**program, *CompileSeccomp(profile_)));
  };
  plant(0666, 0);
  plant(0600, 12345);
}

TEST_F(SeccompCacheTest, ADirectoryThatCannotBeWrittenIsNoError) {
  ASSERT_TRUE(WriteFileAtomic(cache_dir_, "a file", 0600, Durability::kNotDurable).ok());
  EXPECT_TRUE(SeccompCache(cache_dir_).Compile(profile_).ok());
}

TEST_F(SeccompCacheTest, TheDirectoryDoesNotGrowWithoutEnd) {
  SeccompCache cache(cache_dir_);
  for (uint32_t i = 0; i < 300; ++i) ASSERT_TRUE(cache.Compile(Profile(i)).ok());
  EXPECT_LE(ListDirectory(cache_dir_)->size(), 256U);
}

TEST_F(SeccompCacheTest, TheKeyDependsOnEveryPartOfTheProfile) {
  std::set<std::string> keys = {SeccompCacheKey(profile_)};
  LinuxSeccomp other = profile_;
  other.flags.emplace();
  keys.insert(SeccompCacheKey(other));
  other.flags->push_back("SECCOMP_FILTER_FLAG_LOG");
  keys.insert(SeccompCacheKey(other));
  other = profile_;
  other.default_errno_ret = 0;
  keys.insert(SeccompCacheKey(other));
  other = profile_;
  other.architectures = {"SCMP_ARCH_X86"};
  keys.insert(SeccompCacheKey(other));
  other = profile_;
  other.syscalls[0].names = {"get", "pid"};
  keys.insert(SeccompCacheKey(other));
  other = profile_;
  other.syscalls[0].args = {{0, 1, 2, "SCMP_CMP_EQ"}};
  keys.insert(SeccompCacheKey(other));
  EXPECT_EQ(keys.size(), 7U);
}

}  // namespace
}  // namespace gantry::runtime
