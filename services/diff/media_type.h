#ifndef GANTRY_SERVICES_DIFF_MEDIA_TYPE_H_
#define GANTRY_SERVICES_DIFF_MEDIA_TYPE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "services/diff/compressor.h"

namespace gantry::diff {

// The media type of what a layer is once it is inflated.
inline constexpr char kUncompressedLayer[] = "application/vnd.oci.image.layer.v1.tar";

// What a layer is made as where the client names no type.
inline constexpr char kDefaultLayer[] = "application/vnd.oci.image.layer.v1.tar+gzip";

// OK if `media_type` is a layer of the OCI image-spec or of Docker that is a tar, plain, gzip or
// zstd. Which compression it has is read from its first bytes, since registries hold layers that
// are labelled with another. Errors: Unimplemented that names the type (encrypted layers, for
// instance).
absl::Status CheckLayerMediaType(absl::string_view media_type);

// What a layer of type `media_type` is to be compressed with when it is made. Errors: Unimplemented
// that names the type.
absl::StatusOr<Compression> CompressionOf(absl::string_view media_type);

}  // namespace gantry::diff

#endif  // GANTRY_SERVICES_DIFF_MEDIA_TYPE_H_
