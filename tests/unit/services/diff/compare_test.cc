#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include <map>

#include "base/file.h"
#include "base/temp_dir.h"
#include "layer_builder.h"
#include "services/diff/layer_comparer.h"

namespace gantry::diff {
namespace {

class CompareTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"left", "right", "again", "upper", "work"}) {
      ASSERT_TRUE(MakeDirectories(At(name)).ok());
    }
  }
  [[nodiscard]] std::string At(absl::string_view name) const {
    return absl::StrCat(dir_.path(), "/", name);
  }
  void Put(absl::string_view name, absl::string_view data) {
    ASSERT_TRUE(WriteFileAtomic(At(name), data, 0644, Durability::kNotDurable).ok());
  }
  std::string Compare(const std::vector<Mount>& left, const std::vector<Mount>& right,
                      CompareOptions options = {.compression = Compression::kNone}) {
    std::string layer;
    const absl::StatusOr<Applied> made =
        CompareTrees(left, right, options, [&](absl::string_view bytes) {
          layer.append(bytes.data(), bytes.size());
          return absl::OkStatus();
        });
    EXPECT_TRUE(made.ok()) << made.status();
    return layer;
  }
  // The names in a layer, with "=TARGET" behind those of links.
  static std::vector<std::string> Names(const std::string& layer) {
    std::vector<std::string> names;
    struct archive* archive = ::archive_read_new();
    ::archive_read_support_format_tar(archive);
    ::archive_read_open_memory(archive, layer.data(), layer.size());
    for (archive_entry* entry; ::archive_read_next_header(archive, &entry) == ARCHIVE_OK;) {
      std::string name = ::archive_entry_pathname(entry);
      if (const char* link = ::archive_entry_hardlink(entry)) absl::StrAppend(&name, "=", link);
      names.push_back(name);
    }
    ::archive_read_free(archive);
    return names;
  }
  // Everything that a layer tells of a tree, by name.
  void Describe(const std::string& path, const std::string& shown,
                std::map<std::string, std::string>* out) {
    const std::vector<std::string> listed = *ListDirectory(path);
    for (const std::string& name : listed) {
      const std::string full = absl::StrCat(path, "/", name);
      struct stat st {};
      ASSERT_EQ(::lstat(full.c_str(), &st), 0);
      if (S_ISSOCK(st.st_mode)) continue;
      std::string text = absl::StrCat(st.st_mode, " ", st.st_uid, " ", st.st_gid, " ", st.st_rdev,
                                      " ", st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec);
      if (!S_ISDIR(st.st_mode)) absl::StrAppend(&text, " ", st.st_nlink, " ", st.st_size);
      char value[256];
      const ssize_t got = ::lgetxattr(full.c_str(), "user.k", value, sizeof value);
      if (got > 0) absl::StrAppend(&text, " ", absl::string_view(value, got));
      if (S_ISREG(st.st_mode)) absl::StrAppend(&text, " ", Sha256(*ReadFile(full)).text());
      if (S_ISLNK(st.st_mode)) {
        absl::StrAppend(&text, " ",
                        absl::string_view(value, ::readlink(full.c_str(), value, sizeof value)));
      }
      (*out)[shown + name] = text;
      if (S_ISDIR(st.st_mode)) Describe(full, shown + name + "/", out);
    }
  }
  std::map<std::string, std::string> Tree(absl::string_view name) {
    std::map<std::string, std::string> tree;
    Describe(At(name), "", &tree);
    return tree;
  }
  // One of each kind of thing that a layer holds.
  void Fill(const std::string& root) {
    ASSERT_TRUE(MakeDirectories(At(root + "/etc/deep")).ok());
    Put(root + "/etc/deep/f", "data");
    ASSERT_EQ(::setxattr(At(root + "/etc/deep/f").c_str(), "user.k", "a\0b", 3, 0), 0);
    ASSERT_EQ(::chown(At(root + "/etc/deep/f").c_str(), 3000000, 12), 0);
    ASSERT_EQ(::chmod(At(root + "/etc/deep/f").c_str(), 04755), 0);
    ASSERT_EQ(::link(At(root + "/etc/deep/f").c_str(), At(root + "/b").c_str()), 0);
    ASSERT_EQ(::symlink(std::string(150, 's').c_str(), At(root + "/link").c_str()), 0);
    ASSERT_EQ(::mknod(At(root + "/zero").c_str(), S_IFCHR | 0640, makedev(1, 5)), 0);
    ASSERT_EQ(::mkfifo(At(root + "/pipe").c_str(), 0600), 0);
    Put(root + "/" + std::string(200, 'n'), "long");
    Put(root + "/\xff\xfe new\nline", "bytes");
    const struct timespec old[2] = {{0, UTIME_OMIT}, {-7, 250000000}};
    ASSERT_EQ(::utimensat(AT_FDCWD, At(root + "/pipe").c_str(), old, 0), 0);
    Put(root + "/sparse", "head");
    ASSERT_EQ(::truncate(At(root + "/sparse").c_str(), 9 << 20), 0);
  }
  TempDir dir_ = *TempDir::Create("gantry-compare-test-");
};

TEST_F(CompareTest, ATreeThatIsComparedAndAppliedIsTheSameTree) {
  Fill("right");
  for (const Compression compression :
       {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    const std::string layer =
        Compare(Bind(At("left")), Bind(At("right")), {.compression = compression});
    ASSERT_TRUE(RemoveTree(At("again")).ok());
    ASSERT_TRUE(MakeDirectories(At("again")).ok());
    ASSERT_TRUE(Apply(layer, Bind(At("again"))).ok());
    EXPECT_EQ(Tree("again"), Tree("right"));
    EXPECT_EQ(Compare({}, Bind(At("again")), {.compression = compression}), layer)
        << "the same tree gives the same bytes";
  }
}

TEST_F(CompareTest, HolesTakeNoRoomInALayer) {
  Fill("right");
  EXPECT_LT(Compare({}, Bind(At("right"))).size(), 1u << 20);
}

TEST_F(CompareTest, OnlyWhatChangedIsInALayerWithTheDirectoriesOnTheWay) {
  Fill("left");
  Put("left/gone", "x");
  ASSERT_TRUE(MakeDirectories(At("left/was-directory/sub")).ok());
  const std::string base = Compare({}, Bind(At("left")));
  ASSERT_TRUE(Apply(base, Bind(At("right"))).ok());
  ASSERT_EQ(::unlink(At("right/gone").c_str()), 0);
  ASSERT_TRUE(RemoveTree(At("right/was-directory")).ok());
  Put("right/was-directory", "now a file");
  Put("right/etc/deep/new", "x");
  const std::string layer = Compare(Bind(At("left")), Bind(At("right")));
  EXPECT_EQ(Names(layer), (std::vector<std::string>{".wh.gone", "etc/", "etc/deep/", "etc/deep/new",
                                                    "was-directory"}));
  ASSERT_TRUE(Apply(layer, Bind(At("left"))).ok());
  EXPECT_EQ(Tree("left"), Tree("right"));
}

TEST_F(CompareTest, AnOverlayIsComparedWithWhatLiesBelowIt) {
  Fill("left");
  ASSERT_TRUE(MakeDirectories(At("left/replaced/sub")).ok());
  // What the kernel leaves of: rm b; rm -r replaced; mkdir replaced.
  ASSERT_EQ(::mknod(At("upper/b").c_str(), S_IFCHR, 0), 0);
  ASSERT_TRUE(MakeDirectories(At("upper/replaced")).ok());
  ASSERT_EQ(::setxattr(At("upper/replaced").c_str(), "trusted.overlay.opaque", "y", 1, 0), 0);
  Put("upper/replaced/new", "x");
  const std::vector<Mount> right = {Mount{
      "overlay",
      "overlay",
      {"index=off", "workdir=" + At("work"), "upperdir=" + At("upper"), "lowerdir=" + At("left")}}};
  EXPECT_EQ(Names(Compare(Bind(At("left")), right)),
            (std::vector<std::string>{".wh.b", "replaced/", "replaced/.wh.sub", "replaced/new"}));
}

TEST_F(CompareTest, ANewNameOfAnOldFileStaysALinkToIt) {
  Put("left/a", "x");
  ASSERT_TRUE(Apply(Compare({}, Bind(At("left"))), Bind(At("right"))).ok());
  ASSERT_EQ(::link(At("right/a").c_str(), At("right/b").c_str()), 0);
  EXPECT_EQ(Names(Compare(Bind(At("left")), Bind(At("right")))),
            (std::vector<std::string>{"b", "a=b"}));
}

TEST_F(CompareTest, SocketsAreLeftOutAndTimesAreBounded) {
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = At("right/sock");
  ASSERT_LT(path.size(), sizeof address.sun_path);
  path.copy(address.sun_path, path.size());
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  Put("right/f", "x");
  const std::string layer =
      Compare({}, Bind(At("right")), {.compression = Compression::kNone, .latest_time = 1000});
  EXPECT_EQ(Names(layer), std::vector<std::string>{"f"});
  ASSERT_TRUE(Apply(layer, Bind(At("again"))).ok());
  struct stat st {};
  ASSERT_EQ(::stat(At("again/f").c_str(), &st), 0);
  EXPECT_EQ(st.st_mtim.tv_sec, 1000);
}

TEST_F(CompareTest, AnErrorOfTheSinkEndsTheComparison) {
  for (int i = 0; i < 40; ++i) Put(absl::StrCat("right/", i), std::string(1 << 20, 'x'));
  const absl::StatusOr<Applied> made =
      CompareTrees({}, Bind(At("right")), {.compression = Compression::kNone},
                   [](absl::string_view) { return absl::ResourceExhaustedError("disk full"); });
  EXPECT_TRUE(absl::IsResourceExhausted(made.status())) << made.status();
}

}  // namespace
}  // namespace gantry::diff
