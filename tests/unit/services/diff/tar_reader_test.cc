#include "services/diff/tar_reader.h"

#include <gtest/gtest.h>

#include "raw_tar.h"

namespace gantry::diff {
namespace {

// Gives a stream in pieces of `step` bytes.
class Pieces final : public ByteSource {
 public:
  Pieces(std::string bytes, size_t step) : bytes_(std::move(bytes)), step_(step) {}
  absl::StatusOr<absl::string_view> Next() override {
    const absl::string_view piece = absl::string_view(bytes_).substr(at_, step_);
    at_ += piece.size();
    return piece;
  }

 private:
  const std::string bytes_;
  const size_t step_;
  size_t at_ = 0;
};

struct Read {
  Entry entry;
  std::string data;  // holes as '.'
};

absl::StatusOr<std::vector<Read>> ReadAll(const std::string& tar, size_t step = 700) {
  Pieces pieces(tar, step);
  TarReader reader(pieces);
  std::vector<Read> all;
  for (;;) {
    Read read;
    const absl::StatusOr<bool> more = reader.Next(&read.entry);
    if (!more.ok()) return more.status();
    if (!*more) return all;
    const absl::StatusOr<int64_t> size = reader.Data([&](int64_t offset, absl::string_view bytes) {
      read.data.resize(static_cast<size_t>(offset), '.');
      read.data.append(bytes.data(), bytes.size());
      return absl::OkStatus();
    });
    if (!size.ok()) return size.status();
    read.data.resize(static_cast<size_t>(*size), '.');
    all.push_back(std::move(read));
  }
}

Read ReadOne(const std::string& tar) {
  const absl::StatusOr<std::vector<Read>> all = ReadAll(tar);
  EXPECT_TRUE(all.ok()) << all.status();
  if (!all.ok() || all->size() != 1) return {};
  return all->front();
}

std::string Message(const std::string& tar) {
  const absl::StatusOr<std::vector<Read>> all = ReadAll(tar);
  EXPECT_FALSE(all.ok());
  return std::string(all.status().message());
}

const auto Record = &RawTar::Record;

TEST(TarReaderTest, AStreamCutAnywhereReadsTheSame) {
  const std::string tar =
      RawTar().Add("a", '0', "data").Add("d/", '5').Add("e", '0', std::string(1000, 'e')).Finish();
  for (const size_t step : {1, 511, 512, 513, 100000}) {
    const auto all = ReadAll(tar, step);
    ASSERT_TRUE(all.ok()) << step << all.status();
    ASSERT_EQ(all->size(), 3u) << step;
    EXPECT_EQ((*all)[0].data, "data");
    EXPECT_TRUE(S_ISDIR((*all)[1].entry.mode));
    EXPECT_EQ((*all)[2].data, std::string(1000, 'e'));
  }
}

TEST(TarReaderTest, APrefixAndALongNameAndAPaxPathGoBeforeTheHeadersName) {
  EXPECT_EQ(ReadOne(RawTar()
                        .Add("name", '0', "",
                             [](UstarHeader& h) { std::memcpy(h.prefix, "some/dir", 8); })
                        .Finish())
                .entry.name,
            "some/dir/name");
  const std::string gnu(300, 'g');
  EXPECT_EQ(
      ReadOne(RawTar().Add("././@LongLink", 'L', gnu).Add("g", '0', "", &RawTar::Gnu).Finish())
          .entry.name,
      gnu);
  const std::string pax(300, 'p');
  EXPECT_EQ(ReadOne(RawTar().Pax(Record("path", pax)).Add("p", '0').Finish()).entry.name, pax);
}

TEST(TarReaderTest, LongLinksAreRead) {
  const std::string link(200, 'l');
  const Read gnu = ReadOne(RawTar().Add("././@LongLink", 'K', link).Add("s", '2').Finish());
  EXPECT_EQ(gnu.entry.link, link);
  EXPECT_TRUE(S_ISLNK(gnu.entry.mode));
  const Read pax = ReadOne(RawTar().Pax(Record("linkpath", link)).Add("h", '1').Finish());
  EXPECT_EQ(pax.entry.link, link);
  EXPECT_TRUE(pax.entry.is_hardlink);
}

TEST(TarReaderTest, PaxRecordsGoBeforeTheHeader) {
  const Read read = ReadOne(RawTar()
                                .Pax(Record("uid", "3000000000") + Record("gid", "7") +
                                     Record("mtime", "-6.75") + Record("size", "3") +
                                     Record("SCHILY.xattr.user.k", std::string("v\0\n=", 4)) +
                                     Record("comment", "whatever"))
                                .Add("f", '0', "abc", [](auto& h) { RawTar::Octal(h.size, 0); })
                                .Finish());
  EXPECT_EQ(read.entry.uid, 3000000000u);
  EXPECT_EQ(read.entry.gid, 7u);
  EXPECT_EQ(read.entry.mtime.tv_sec, -7);
  EXPECT_EQ(read.entry.mtime.tv_nsec, 250000000);
  EXPECT_EQ(read.data, "abc");
  ASSERT_EQ(read.entry.xattrs.size(), 1u);
  EXPECT_EQ(read.entry.xattrs[0].first, "user.k");
  EXPECT_EQ(read.entry.xattrs[0].second, std::string("v\0\n=", 4));
}

TEST(TarReaderTest, AGlobalHeaderIsPassedOver) {
  const auto all =
      ReadAll(RawTar().Add("pax_global_header", 'g', Record("path", "x")).Add("f", '0').Finish());
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->at(0).entry.name, "f");
}

TEST(TarReaderTest, Base256NumbersAreRead) {
  const Read read = ReadOne(RawTar()
                                .Add("f", '0', "abc",
                                     [](UstarHeader& h) {
                                       RawTar::Gnu(h);
                                       RawTar::Base256(h.uid, 3000000000);
                                       RawTar::Base256(h.size, 3);
                                       RawTar::Base256(h.mtime, -5);
                                     })
                                .Finish());
  EXPECT_EQ(read.entry.uid, 3000000000u);
  EXPECT_EQ(read.entry.mtime.tv_sec, -5);
  EXPECT_EQ(read.data, "abc");
}

TEST(TarReaderTest, AnArchiveBeforePosixIsRead) {
  const auto v7 = [](UstarHeader& h) {
    std::memset(h.magic, 0, sizeof h.magic + sizeof h.version);
    std::memcpy(h.prefix, "junk", 4);
  };
  const auto all = ReadAll(RawTar().Add("d/", '\0', "", v7).Add("f", '\0', "x", v7).Finish());
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(S_ISDIR(all->at(0).entry.mode));
  EXPECT_EQ(all->at(1).entry.name, "f");
}

TEST(TarReaderTest, TheFourSparseFormatsGiveTheSameFile) {
  const std::string want = "..ab....cd..";
  const std::string common = Record("GNU.sparse.name", "real");
  EXPECT_EQ(ReadOne(RawTar()
                        .Pax(common + Record("GNU.sparse.size", "12") +
                             Record("GNU.sparse.numblocks", "2") +
                             Record("GNU.sparse.offset", "2") + Record("GNU.sparse.numbytes", "2") +
                             Record("GNU.sparse.offset", "8") + Record("GNU.sparse.numbytes", "2"))
                        .Add("f", '0', "abcd")
                        .Finish())
                .data,
            want);
  const Read text = ReadOne(
      RawTar()
          .Pax(common + Record("GNU.sparse.size", "12") + Record("GNU.sparse.map", "2,2,8,2"))
          .Add("f", '0', "abcd")
          .Finish());
  EXPECT_EQ(text.data, want);
  EXPECT_EQ(text.entry.name, "real");
  std::string map = "3\n2\n2\n8\n2\n12\n0\n";
  map.resize(kTarBlock);
  EXPECT_EQ(ReadOne(RawTar()
                        .Pax(common + Record("GNU.sparse.major", "1") +
                             Record("GNU.sparse.minor", "0") + Record("GNU.sparse.realsize", "12"))
                        .Add("f", '0', map + "abcd")
                        .Finish())
                .data,
            want);
  const auto old = [](UstarHeader& h) {
    RawTar::Gnu(h);
    char* const bytes = reinterpret_cast<char*>(&h);
    const auto put = [&](size_t at, int64_t value) {
      std::memcpy(bytes + at, absl::StrFormat("%011o", value).c_str(), 12);
    };
    put(386, 2);
    put(398, 2);
    put(483, 12);
    bytes[482] = 1;  // one more block of the map
    RawTar::Octal(h.size, 4);
  };
  std::string more = absl::StrFormat("%011o", 8) + std::string(1, '\0') +
                     absl::StrFormat("%011o", 2) + std::string(1, '\0');
  more.resize(kTarBlock);
  EXPECT_EQ(ReadOne(RawTar().Add("f", 'S', "", old).Raw(more).Raw("abcd").Finish()).data, want);
}

TEST(TarReaderTest, ASparseMapThatLiesIsRefused) {
  const auto map = [](const std::string& text, const std::string& size) {
    return RawTar()
        .Pax(Record("GNU.sparse.size", size) + Record("GNU.sparse.map", text))
        .Add("holes", '0', "abcd")
        .Finish();
  };
  for (const auto& [text, size] :
       std::vector<std::pair<std::string, std::string>>{{"8,2,2,2", "12"},
                                                        {"0,3,2,1", "12"},
                                                        {"0,4", "3"},
                                                        {"9223372036854775807,4", "12"},
                                                        {"0,2", "12"},
                                                        {"0,400", "1000"},
                                                        {"-1,4", "12"},
                                                        {"0", "12"}}) {
    EXPECT_NE(Message(map(text, size)).find("sparse"), std::string::npos) << text;
  }
}

TEST(TarReaderTest, WhatIsNotATarIsRefused) {
  EXPECT_NE(Message(std::string(2000, 'G')).find("checksum"), std::string::npos);
  std::string flipped = RawTar().Add("name", '0', "data").Finish();
  flipped[1] = 'N';
  EXPECT_NE(Message(flipped).find("checksum"), std::string::npos);
  EXPECT_NE(Message(std::string(kTarBlock, '\0') + RawTar().Add("f", '0').Finish()).find("zeros"),
            std::string::npos);
  EXPECT_NE(Message(RawTar().Add("odd", 'Z').Finish()).find("\"odd\""), std::string::npos);
}

TEST(TarReaderTest, AnArchiveMayEndWithoutItsMark) {
  const std::string tar = RawTar().Add("f", '0', "abc").Finish();
  EXPECT_EQ(ReadAll(tar.substr(0, 2 * kTarBlock))->size(), 1u);
  EXPECT_EQ(ReadAll(tar.substr(0, kTarBlock + 3))->size(), 1u) << "nor fill its last block";
  EXPECT_EQ(ReadAll("")->size(), 0u);
  EXPECT_EQ(ReadAll(tar.substr(0, kTarBlock + 2)).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReadAll(tar.substr(0, 100)).status().code(), absl::StatusCode::kDataLoss);
}

TEST(TarReaderTest, ABrokenExtendedHeaderIsRefused) {
  for (const char* records : {"x", "5", "99 a=b\n", "6 a=bc", "0 a=b\n", "-6 a=b\n", "6 =bc\n",
                              "5 ab\n", "99999999999999999999999 a=b\n"}) {
    EXPECT_NE(Message(RawTar().Pax(records).Add("f", '0').Finish()).find("PaxHeaders/x"),
              std::string::npos)
        << records;
  }
  EXPECT_NE(Message(RawTar().Pax(Record("uid", "12x")).Add("f", '0').Finish()).find("uid"),
            std::string::npos);
  EXPECT_EQ(ReadAll(RawTar().Pax(Record("path", "x")).Finish()).status().code(),
            absl::StatusCode::kDataLoss);
}

TEST(TarReaderTest, NumbersThatCannotBeAreRefused) {
  const auto with = [](const RawTar::Adjust& adjust) {
    return Message(RawTar().Add("f", '3', "", adjust).Finish());
  };
  EXPECT_NE(with([](auto& h) { RawTar::Base256(h.uid, -1); }).find("uid"), std::string::npos);
  EXPECT_NE(with([](auto& h) { RawTar::Base256(h.gid, 0xffffffff); }).find("gid"),
            std::string::npos);
  EXPECT_NE(with([](auto& h) { std::memcpy(h.mode, "rwxr-x", 6); }).find("mode"),
            std::string::npos);
  EXPECT_NE(with([](auto& h) { RawTar::Base256(h.minor, 1 << 20); }).find("device"),
            std::string::npos);
  EXPECT_NE(
      Message(RawTar().Add("f", '0', "", [](auto& h) { RawTar::Base256(h.size, -1); }).Finish())
          .find("size"),
      std::string::npos);
}

}  // namespace
}  // namespace gantry::diff
