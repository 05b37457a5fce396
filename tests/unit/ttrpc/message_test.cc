#include "ttrpc/message.h"

#include <gtest/gtest.h>

namespace gantry::ttrpc {
namespace {

TEST(TtrpcMessageTest, AFrameHasBigEndianLengthAndStreamThenTypeAndFlags) {
  EXPECT_EQ(EncodeFrame(0x01020304, kRequestFrame, kRemoteClosed, "abc"),
            std::string("\0\0\0\x03\x01\x02\x03\x04\x01\x01"
                        "abc",
                        13));
}

TEST(TtrpcMessageTest, ARequestSurvivesTheWayThereAndBack) {
  Request request{"s.S", "M", std::string("p\0q", 3), 5'000'000'000, {{"k", "1"}, {"k", "2"}}};
  const absl::StatusOr<Request> decoded = DecodeRequest(EncodeRequest(request));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->service, "s.S");
  EXPECT_EQ(decoded->method, "M");
  EXPECT_EQ(decoded->payload, request.payload);
  EXPECT_EQ(decoded->timeout_nanos, 5'000'000'000);
  EXPECT_EQ(decoded->metadata, request.metadata);
}

TEST(TtrpcMessageTest, AMalformedRequestIsInvalidArgument) {
  EXPECT_EQ(DecodeRequest("\x0a\x7f").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(TtrpcMessageTest, AStatusCrossesWithCodeAndMessage) {
  const auto decoded = DecodeResponse(EncodeResponse(absl::NotFoundError("no task x")));
  EXPECT_EQ(decoded.status(), absl::NotFoundError("no task x"));
}

TEST(TtrpcMessageTest, AnEmptyPayloadIsSuccess) {
  const auto decoded = DecodeResponse(EncodeResponse(std::string()));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(*decoded, "");
}

TEST(TtrpcMessageTest, AnUnheardOfStatusCodeBecomesUnknown) {
  EXPECT_EQ(DecodeResponse(std::string("\x0a\x02\x08\x63", 4)).status().code(),
            absl::StatusCode::kUnknown);
}

}  // namespace
}  // namespace gantry::ttrpc
