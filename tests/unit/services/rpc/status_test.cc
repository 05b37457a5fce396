#include "services/rpc/status.h"

#include <gtest/gtest.h>

#include "base/errors.h"

namespace gantry::rpc {
namespace {

TEST(StatusTest, EveryCodeSurvivesTheWayThereAndBack) {
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "image \"x\": not found");
    const grpc::Status wire = ToGrpc(status);
    EXPECT_EQ(static_cast<int>(wire.error_code()), code);
    EXPECT_EQ(wire.error_message(), "image \"x\": not found");
    EXPECT_EQ(FromGrpc(wire), status);
  }
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(StatusTest, AnErrnoStaysInsideTheDaemon) {
  const grpc::Status wire = ToGrpc(ErrnoError(ENOSPC, "write x"));
  EXPECT_EQ(wire.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(wire.error_message(), "write x: No space left on device");
  EXPECT_TRUE(wire.error_details().empty());
}

}  // namespace
}  // namespace gantry::rpc
