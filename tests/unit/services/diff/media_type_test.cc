#include "services/diff/media_type.h"

#include <gtest/gtest.h>

namespace gantry::diff {
namespace {

TEST(MediaTypeTest, LayersOfOciAndDockerAreTaken) {
  for (const char* type :
       {"application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}) {
    EXPECT_TRUE(CheckLayerMediaType(type).ok()) << type;
  }
}

TEST(MediaTypeTest, AnythingElseIsRefusedByName) {
  for (const char* type :
       {"", "text/plain", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/vnd.oci.image.layer.v1.tarx"}) {
    const absl::Status status = CheckLayerMediaType(type);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_NE(status.message().find(type), absl::string_view::npos);
  }
}

}  // namespace
}  // namespace gantry::diff
