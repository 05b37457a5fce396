#include "base/errors.h"

#include <gtest/gtest.h>

namespace gantry {
namespace {

struct Row {
  int error;
  absl::StatusCode code;
};
class ErrnoTable : public testing::TestWithParam<Row> {};

TEST_P(ErrnoTable, HasTheCodeThatClientsReadRight) {
  const absl::Status status = ErrnoError(GetParam().error, "open x");
  EXPECT_EQ(status.code(), GetParam().code);
  EXPECT_EQ(ErrnoOf(status), GetParam().error);
  EXPECT_EQ(status.message().substr(0, 8), "open x: ");
}

INSTANTIATE_TEST_SUITE_P(All, ErrnoTable,
                         testing::Values(Row{ENOENT, absl::StatusCode::kNotFound},
                                         Row{EEXIST, absl::StatusCode::kAlreadyExists},
                                         Row{EACCES, absl::StatusCode::kPermissionDenied},
                                         Row{ENOSPC, absl::StatusCode::kResourceExhausted},
                                         Row{EBUSY, absl::StatusCode::kFailedPrecondition},
                                         Row{EINVAL, absl::StatusCode::kInvalidArgument},
                                         Row{ELOOP, absl::StatusCode::kInvalidArgument},
                                         Row{EXDEV, absl::StatusCode::kInvalidArgument},
                                         Row{EIO, absl::StatusCode::kDataLoss},
                                         Row{ETIMEDOUT, absl::StatusCode::kUnavailable}));

TEST(ErrorsTest, AnnotatingKeepsCodeAndErrno) {
  const absl::Status status = Annotate(ErrnoError(EBUSY, "unmount fs"), "remove snapshot 42");
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ErrnoOf(status), EBUSY);
  EXPECT_EQ(status.message(), "remove snapshot 42: unmount fs: Device or resource busy");
}

TEST(ErrorsTest, AnnotatingSuccessIsSuccess) {
  EXPECT_TRUE(Annotate(absl::OkStatus(), "x").ok());
  EXPECT_TRUE(WithCode(absl::OkStatus(), absl::StatusCode::kDataLoss).ok());
}

}  // namespace
}  // namespace gantry
