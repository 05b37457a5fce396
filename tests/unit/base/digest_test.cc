#include "base/digest.h"

#include <gtest/gtest.h>

namespace gantry {
namespace {

TEST(DigestTest, TheKnownDigestOfNothing) {
  EXPECT_EQ(Sha256("").text(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(DigestTest, AStreamInPiecesHashesAsTheWhole) {
  Digester digester = *Digester::Create("sha512");
  digester.Update("ab");
  digester.Update("c");
  EXPECT_EQ(digester.Finish().hex().substr(0, 16), "ddaf35a193617aba");
}

TEST(DigestTest, WhatIsNoDigestIsRefusedWithTheTextQuoted) {
  for (const std::string text :
       {"", "sha256", "sha256:", "sha256:zz", "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b8555"}) {
    const auto parsed = Digest::Parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(parsed.status().message().find(text), absl::string_view::npos);
  }
}

TEST(DigestTest, AnUnknownAlgorithmIsRefused) {
  EXPECT_EQ(Digester::Create("crc32").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace gantry
