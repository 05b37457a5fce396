#include "services/diff/media_type.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"

namespace gantry::diff {

absl::Status CheckLayerMediaType(absl::string_view media_type) {
  constexpr std::array<absl::string_view, 4> kBases = {
      "application/vnd.oci.image.layer.v1.tar",
      "application/vnd.oci.image.layer.nondistributable.v1.tar",
      "application/vnd.docker.image.rootfs.diff.tar",
      "application/vnd.docker.image.rootfs.foreign.diff.tar",
  };
  for (const absl::string_view base : kBases) {
    absl::string_view rest = media_type;
    if (!absl::ConsumePrefix(&rest, base)) continue;
    if (rest.empty() || rest == "+gzip" || rest == "+zstd" || rest == ".gzip" || rest == ".zstd") {
      return absl::OkStatus();
    }
  }
  return absl::UnimplementedError(absl::StrCat("layer of media type \"", media_type,
                                               "\": no processor for it: not implemented"));
}

absl::StatusOr<Compression> CompressionOf(absl::string_view media_type) {
  GANTRY_RETURN_IF_ERROR(CheckLayerMediaType(media_type));
  if (absl::EndsWith(media_type, "gzip")) return Compression::kGzip;
  if (absl::EndsWith(media_type, "zstd")) return Compression::kZstd;
  return Compression::kNone;
}

}  // namespace gantry::diff
