#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <functional>

#include "base/file.h"
#include "base/temp_dir.h"
#include "layer_builder.h"
#include "raw_tar.h"
#include "services/diff/compressor.h"

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
  // What a refusal has to say: the entry's name.
  std::string entry = "";
  LayerLimits limits = {};
};

std::string Gzip(const std::string& data) {
  std::string out;
  const auto compressor = *MakeCompressor(Compression::kGzip, [&](absl::string_view bytes) {
    out.append(bytes.data(), bytes.size());
    return absl::OkStatus();
  });
  EXPECT_TRUE(compressor->Write(data).ok());
  EXPECT_TRUE(compressor->Finish().ok());
  return out;
}

class HostileLayer : public testing::TestWithParam<Attack> {};

TEST_P(HostileLayer, TouchesNothingOutside) {
  const TempDir dir = *TempDir::Create("gantry-hostile-test-");
  const std::string root = dir.path() + "/root";
  const std::string outside = dir.path() + "/outside";
  ASSERT_TRUE(MakeDirectories(root).ok());
  ASSERT_TRUE(MakeDirectories(outside).ok());
  ASSERT_TRUE(WriteFileAtomic(outside + "/precious", "intact", 0600, Durability::kNotDurable).ok());

  const absl::StatusOr<Applied> applied =
      Apply(GetParam().layer(outside), Bind(root), GetParam().limits);

  EXPECT_EQ(applied.ok(), !GetParam().refused) << applied.status();
  if (!applied.ok()) {
    EXPECT_NE(applied.status().message().find(GetParam().entry), absl::string_view::npos)
        << applied.status();
    EXPECT_LT(applied.status().message().size(), 2000u) << "gRPC's trailers have 8 KiB for all";
  }
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
        Attack{"NulInName",
               [](auto&) {
                 return RawTar()
                     .Pax(RawTar::Record("path", std::string("a\0b", 3)))
                     .Add("f", '0')
                     .Finish();
               },
               true, "PaxHeaders/x"},
        Attack{"NameOf4096BytesInLevels",
               [](auto&) {
                 std::string name;
                 while (name.size() < 4096) name += "abc/";
                 return LayerBuilder().File(name + "f", "x").Finish();
               },
               true, "abc/abc"},
        Attack{"SizeThatLies",
               [](auto&) {
                 return RawTar()
                     .Add("liar", '0', "x", [](auto& h) { RawTar::Base256(h.size, INT64_MAX); })
                     .Finish();
               },
               true, "liar"},
        Attack{"SizeBelowZero",
               [](auto&) {
                 return RawTar()
                     .Add("liar", '0', "x", [](auto& h) { RawTar::Base256(h.size, -512); })
                     .Finish();
               },
               true, "liar"},
        Attack{"SparseBomb",
               [](auto&) {
                 return RawTar()
                     .Pax(RawTar::Record("GNU.sparse.name", "bomb") +
                          RawTar::Record("GNU.sparse.size", "9223372036854775807") +
                          RawTar::Record("GNU.sparse.map", "0,1"))
                     .Add("f", '0', "x")
                     .Finish();
               },
               true, "bomb"},
        Attack{"GzipBombBySize",
               [](auto&) {
                 return Gzip(LayerBuilder().File("zeros", std::string(32 << 20, '\0')).Finish());
               },
               true, "zeros", LayerLimits{.max_bytes = 16 << 20}},
        Attack{"MillionsOfEntries",
               [](auto&) {
                 RawTar tar;
                 for (int i = 0; i < 1000; ++i) tar.Add(absl::StrCat("f", i), '0');
                 return tar.Finish();
               },
               true, "\"f500\"", LayerLimits{.max_entries = 500}},
        Attack{"PaxRecordOfAbsurdSize",
               [](auto&) {
                 return RawTar()
                     .Pax(RawTar::Record("comment", std::string(2 << 20, 'x')))
                     .Add("f", '0')
                     .Finish();
               },
               true, "PaxHeaders/x"},
        Attack{"LongNameOfAbsurdSize",
               [](auto&) {
                 return RawTar()
                     .Add("././@LongLink", 'L', "x",
                          [](auto& h) { RawTar::Base256(h.size, int64_t{1} << 40); })
                     .Add("f", '0')
                     .Finish();
               },
               true, "@LongLink"},
        Attack{"XattrOfAbsurdSize",
               [](auto&) {
                 return RawTar()
                     .Pax(RawTar::Record("SCHILY.xattr.user.k", std::string(100000, 'v')))
                     .Add("big", '0')
                     .Finish();
               },
               true, "big"},
        Attack{"XattrsThatTheKernelKeeps",
               [](auto&) {
                 return RawTar()
                     .Pax(RawTar::Record("SCHILY.xattr.trusted.overlay.redirect", "/outside") +
                          RawTar::Record("SCHILY.xattr.user.overlay.whiteout", "y") +
                          RawTar::Record("SCHILY.xattr.security.ima", "forged") +
                          RawTar::Record("SCHILY.xattr.security.selinux", "forged"))
                     .Add("f", '0')
                     .Finish();
               },
               false},
        Attack{"WhiteoutOfTheRoot", [](auto&) { return RawTar().Add("/.wh.", '0').Finish(); }, true,
               ".wh."},
        Attack{"OpaqueRoot", [](auto&) { return RawTar().Add("/.wh..wh..opq", '0').Finish(); },
               false},
        Attack{"DeviceNode",
               [](auto&) { return LayerBuilder().Device("disk", S_IFBLK, makedev(8, 0)).Finish(); },
               false},
        Attack{"HardlinkToItself",
               [](auto&) { return LayerBuilder().File("h", "x").Hardlink("h", "h").Finish(); },
               true, "\"h\""},
        Attack{"HardlinkToADirectory",
               [](auto&) { return LayerBuilder().Directory("d").Hardlink("h", "d").Finish(); },
               true, "\"h\""},
        Attack{"RootReplacedByALink",
               [](auto& o) { return LayerBuilder().Symlink("./", o).Finish(); }, true, "./"},
        Attack{
            "LinkLoopAsParent",
            [](auto&) {
              return LayerBuilder().Symlink("a", "b").Symlink("b", "a").File("a/f", "x").Finish();
            },
            true, "a/f"},
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

TEST(HostileLayerXattrs, WhatTheKernelKeepsForItselfIsLeftOut) {
  const TempDir dir = *TempDir::Create("gantry-hostile-test-");
  ASSERT_TRUE(Apply(RawTar()
                        .Pax(RawTar::Record("SCHILY.xattr.trusted.overlay.opaque", "y") +
                             RawTar::Record("SCHILY.xattr.security.selinux", "forged") +
                             RawTar::Record("SCHILY.xattr.user.kept", "v"))
                        .Add("f", '0')
                        .Finish(),
                    Bind(dir.path()))
                  .ok());
  char names[256];
  const ssize_t size = ::llistxattr((dir.path() + "/f").c_str(), names, sizeof names);
  ASSERT_GE(size, 0);
  EXPECT_EQ(absl::string_view(names, static_cast<size_t>(size)),
            absl::string_view("user.kept\0", 10));
}

TEST(HostileLayerLimits, ARatioCountsOnlyPastItsFloor) {
  const TempDir dir = *TempDir::Create("gantry-hostile-test-");
  const std::string bomb = Gzip(LayerBuilder().File("zeros", std::string(8 << 20, '\0')).Finish());
  EXPECT_TRUE(Apply(bomb, Bind(dir.path()), {.max_ratio = 10}).ok());
}

}  // namespace
}  // namespace gantry::diff
