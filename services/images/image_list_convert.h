#ifndef GANTRY_SERVICES_IMAGES_IMAGE_LIST_CONVERT_H_
#define GANTRY_SERVICES_IMAGES_IMAGE_LIST_CONVERT_H_

#include <grpcpp/support/byte_buffer.h>

#include "base/wire.h"
#include "services/images/images.h"

namespace gantry::images {

// A ListImagesResponse, made by hand of what the store holds: making ten thousand messages with
// their strings and maps, only to write them out, is most of the time that such a list takes.
class ImageList {
 public:
  void Add(const ImageView& image);
  // Once, last.
  grpc::ByteBuffer Take();

 private:
  WireWriter list_;
};

}  // namespace gantry::images

#endif  // GANTRY_SERVICES_IMAGES_IMAGE_LIST_CONVERT_H_
