#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <functional>

#include "base/file.h"
#include "base/temp_dir.h"
#include "layer_builder.h"

namespace gantry::diff {
namespace {

// Each builds a layer that tries to reach `outside` (a directory beside the root) or to break the
// unpacker.
struct Attack {
  std::string name;
  std::function<std::string(const std::string& outside)> layer;
  // Else contained beneath the root. A link that leads out dangles in there, and is refused as a
  // parent.
  bool refused;
};

class HostileLayer : public testing::TestWithParam<Attack> {};

TEST_P(HostileLayer, TouchesNothingOutside) {
  const TempDir dir = *TempDir::Create("gantry-hostile-test-");
  const std::string root = dir.path() + "/root";
  const std::string outside = dir.path() + "/outside";
  ASSERT_TRUE(MakeDirectories(root).ok());
  ASSERT_TRUE(MakeDirectories(outside).ok());
  ASSERT_TRUE(WriteFileAtomic(outside + "/precious", "intact", 0600, Durability::kNotDurable).ok());

  const absl::StatusOr<Applied> applied = Apply(GetParam().layer(outside), Bind(root));

  EXPECT_EQ(applied.ok(), !GetParam().refused) << applied.status();
  EXPECT_EQ(*ListDirectory(outside), std::vector<std::string>{"precious"});
  EXPECT_EQ(*ReadFile(outside + "/precious"), "intact");
  struct stat st {};
  ASSERT_EQ(::stat((outside + "/precious").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  EXPECT_EQ(st.st_nlink, 1u);
  EXPECT_EQ(*ListDirectory(dir.path()), (std::vector<std::string>{"outside", "root"}));
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileLayer,
    testing::Values(
        Attack{"DotDot", [](auto&) { return LayerBuilder().File("../outside/new", "x").Finish(); },
               false},
        Attack{"DeepDotDot",
               [](auto&) { return LayerBuilder().File("a/../../outside/new", "x").Finish(); },
               false},
        Attack{"Absolute", [](auto& o) { return LayerBuilder().File(o + "/new", "x").Finish(); },
               false},
        Attack{"ThroughAbsoluteSymlink",
               [](auto& o) { return LayerBuilder().Symlink("l", o).File("l/new", "x").Finish(); },
               true},
        Attack{"ThroughRelativeSymlink",
               [](auto&) {
                 return LayerBuilder().Symlink("l", "../outside").File("l/new", "x").Finish();
               },
               true},
        Attack{"OverASymlinkToAFile",
               [](auto& o) {
                 return LayerBuilder().Symlink("l", o + "/precious").File("l", "gone").Finish();
               },
               false},
        Attack{"HardlinkOut",
               [](auto& o) { return LayerBuilder().Hardlink("h", o + "/precious").Finish(); },
               true},
        Attack{"HardlinkThroughSymlink",
               [](auto& o) {
                 return LayerBuilder().Symlink("l", o).Hardlink("h", "l/precious").Finish();
               },
               true},
        Attack{"HardlinkDotDot",
               [](auto&) { return LayerBuilder().Hardlink("h", "../outside/precious").Finish(); },
               true},
        Attack{"HardlinkToTheRoot",
               [](auto&) { return LayerBuilder().Hardlink("h", "/").Finish(); }, true},
        Attack{"WhiteoutThroughSymlink",
               [](auto& o) {
                 return LayerBuilder().Symlink("l", o).File("l/.wh.precious", "").Finish();
               },
               true},
        Attack{"OpaqueThroughSymlink",
               [](auto& o) {
                 return LayerBuilder().Symlink("l", o).File("l/.wh..wh..opq", "").Finish();
               },
               true},
        Attack{"WhiteoutOfDot", [](auto&) { return LayerBuilder().File("a/.wh..", "").Finish(); },
               true},
        Attack{"WhiteoutOfDotDot",
               [](auto&) { return LayerBuilder().File("a/.wh...", "").Finish(); }, true},
        Attack{"WhiteoutOfNothing",
               [](auto&) { return LayerBuilder().File("a/.wh.", "").Finish(); }, true},
        Attack{"ModeThroughSymlink",
               [](auto& o) { return LayerBuilder().Symlink("d", o).Directory("d", 0777).Finish(); },
               false},
        Attack{"DirectorySwappedForSymlink",
               [](auto& o) {
                 return LayerBuilder()
                     .Directory("d")
                     .File("d/a", "x")
                     .Symlink("d", o)
                     .File("d/new", "x")
                     .Finish();
               },
               true},
        Attack{"ForgedWhiteoutDevice",
               [](auto&) { return LayerBuilder().Device("w", S_IFCHR, makedev(0, 0)).Finish(); },
               true},
        Attack{"RootAsFile", [](auto&) { return LayerBuilder().File("./", "x").Finish(); }, true},
        Attack{"NameTooLong",
               [](auto&) { return LayerBuilder().File(std::string(4096, 'n'), "x").Finish(); },
               true},
        Attack{"NewlineInName", [](auto&) { return LayerBuilder().File("a\nb", "x").Finish(); },
               false},
        Attack{"CutShort",
               [](auto&) {
                 const std::string whole =
                     LayerBuilder().File("f", std::string(100000, 'x')).Finish();
                 return whole.substr(0, 50000);
               },
               true},
        Attack{"Garbage", [](auto&) { return std::string(5000, 'G'); }, true},
        Attack{"TwoEntriesOfOneName",
               [](auto& o) {
                 return LayerBuilder().Symlink("n", o + "/precious").File("n", "x").Finish();
               },
               false}),
    [](const auto& info) { return info.param.name; });

TEST(HostileLayerErrors, ARefusalNamesTheEntry) {
  const TempDir dir = *TempDir::Create("gantry-hostile-test-");
  const absl::StatusOr<Applied> applied = Apply(
      LayerBuilder().File("fine", "").Hardlink("bad\nname", "missing").Finish(), Bind(dir.path()));
  ASSERT_FALSE(applied.ok());
  EXPECT_NE(applied.status().message().find("bad\\nname"), absl::string_view::npos)
      << applied.status();
  EXPECT_NE(applied.status().message().find("missing"), absl::string_view::npos);
}

}  // namespace
}  // namespace gantry::diff
