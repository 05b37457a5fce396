#include "base/identifiers.h"

#include <gtest/gtest.h>

namespace gantry {
namespace {

TEST(IdentifierTest, GoodOnesPass) {
  for (const std::string& good : std::vector<std::string>{"a", "default", "k8s.io", "a-b_c.d",
                                                          "0123", std::string(76, 'a')}) {
    EXPECT_TRUE(ValidateIdentifier("id", good).ok()) << good;
  }
}

TEST(IdentifierTest, BadOnesAreRefusedNamingFieldAndValue) {
  for (const std::string& bad :
       std::vector<std::string>{"", "-a", "a-", "a--b", "a/b", "a b", "../x", "a\nb", "ä",
                                "no/such*name", std::string(77, 'a')}) {
    const absl::Status status = ValidateIdentifier("namespace", bad);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(status.message().find("namespace"), absl::string_view::npos);
  }
}

TEST(LabelTest, AKeyThatIsEmptyIsRefused) {
  EXPECT_EQ(ValidateLabel("", "v").code(), absl::StatusCode::kInvalidArgument);
}

TEST(LabelTest, KeyAndValueTogetherAreBounded) {
  EXPECT_TRUE(ValidateLabel("k", std::string(4095, 'v')).ok());
  EXPECT_EQ(ValidateLabel("k", std::string(4096, 'v')).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace gantry
