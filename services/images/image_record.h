#ifndef GANTRY_SERVICES_IMAGES_IMAGE_RECORD_H_
#define GANTRY_SERVICES_IMAGES_IMAGE_RECORD_H_

#include <string>

#include "absl/status/statusor.h"
#include "services/images/images.h"
#include "services/metadata/filter.h"

namespace gantry::images {

std::string Encode(const Image& image);
// Errors: DataLoss.
absl::StatusOr<Image> Decode(absl::string_view name, absl::string_view bytes);
// What filters see of `image`, which outlives it and may become another one meanwhile.
metadata::Adaptor AdaptorOf(const ImageView& image);

}  // namespace gantry::images

#endif  // GANTRY_SERVICES_IMAGES_IMAGE_RECORD_H_
