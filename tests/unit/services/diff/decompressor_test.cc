#include "services/diff/decompressor.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "layer_builder.h"

namespace gantry::diff {
namespace {

std::string Gzip(const std::string& data) {
  z_stream stream{};
  EXPECT_EQ(::deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(::deflateBound(&stream, data.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(data.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(::deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

std::string Zstd(const std::string& data) {
  std::string out(ZSTD_compressBound(data.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), data.data(), data.size(), 3));
  return out;
}

absl::StatusOr<std::string> Inflate(const std::string& bytes) {
  const UniqueFd fd = MemoryFile(bytes);
  auto decompressor = MakeDecompressor(fd.get(), bytes.size());
  if (!decompressor.ok()) return decompressor.status();
  std::string all;
  char buffer[100000];
  for (;;) {
    const absl::StatusOr<size_t> got = (*decompressor)->Read(buffer);
    if (!got.ok()) return got.status();
    all.append(buffer, *got);
    if (*got < sizeof buffer) return all;
  }
}

std::string Sample() {
  std::string data;
  for (int i = 0; i < 300000; ++i) data += std::to_string(i * 2654435761u);
  return data;
}

TEST(DecompressorTest, EachFormatGivesBackWhatWentIn) {
  const std::string data = Sample();
  EXPECT_EQ(*Inflate(data), data);
  EXPECT_EQ(*Inflate(Gzip(data)), data);
  EXPECT_EQ(*Inflate(Zstd(data)), data);
}

TEST(DecompressorTest, SeveralMembersAndFramesAreOneStream) {
  const std::string data = Sample();
  EXPECT_EQ(*Inflate(Gzip(data) + Gzip("tail")), data + "tail");
  EXPECT_EQ(*Inflate(Zstd(data) + Zstd("tail")), data + "tail");
}

TEST(DecompressorTest, PaddingAfterAGzipStreamIsIgnored) {
  EXPECT_EQ(*Inflate(Gzip("data") + std::string(1000, '\0')), "data");
}

TEST(DecompressorTest, EveryCutOfASmallStreamIsAnError) {
  for (const std::string& whole :
       {Gzip("some data that is long enough"), Zstd("some data that is long enough")}) {
    for (size_t size = 4; size < whole.size(); ++size) {
      EXPECT_EQ(Inflate(whole.substr(0, size)).status().code(), absl::StatusCode::kDataLoss)
          << size;
    }
  }
}

TEST(DecompressorTest, AFlippedBitIsFoundByTheChecksum) {
  std::string bytes = Gzip(Sample());
  bytes[bytes.size() - 6] =
      static_cast<char>(bytes[bytes.size() - 6] ^ 1);  // in the trailer's checksum
  EXPECT_EQ(Inflate(bytes).status().code(), absl::StatusCode::kDataLoss);
}

TEST(DecompressorTest, ABlobShorterThanItsRecordIsReported) {
  const UniqueFd fd = MemoryFile("abc");
  auto decompressor = MakeDecompressor(fd.get(), 10);
  ASSERT_TRUE(decompressor.ok());
  char buffer[100];
  EXPECT_EQ((*decompressor)->Read(buffer).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace gantry::diff
