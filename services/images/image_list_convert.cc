#include "services/images/image_list_convert.h"

#include <string>

#include "proto/containerd/services/images/v1/images.pb.h"

namespace gantry::images {
namespace {

namespace api = containerd::services::images::v1;
using types = containerd::types::Descriptor;

constexpr uint32_t kTarget = api::Image::kTargetFieldNumber;

// As proto3 has it: what is empty is left away, but for elements.
size_t SizeOfBytes(uint32_t field, absl::string_view bytes) {
  return bytes.empty() ? 0 : WireWriter::ElementSize(field, bytes.size());
}

size_t SizeOfAll(uint32_t field, const std::vector<absl::string_view>& elements) {
  size_t size = 0;
  for (const absl::string_view element : elements) {
    size += WireWriter::ElementSize(field, element.size());
  }
  return size;
}

void WriteAll(WireWriter& writer, uint32_t field, const std::vector<absl::string_view>& elements) {
  for (const absl::string_view element : elements) writer.Element(field, element);
}

}  // namespace

void ImageList::Add(const ImageView& image) {
  WireWriter size;  // in here, because a number's length is known once it is written
  size.Int(types::kSizeFieldNumber, image.size_bytes);
  const size_t target = SizeOfBytes(types::kMediaTypeFieldNumber, image.media_type) +
                        SizeOfBytes(types::kDigestFieldNumber, image.digest) + size.bytes().size() +
                        SizeOfAll(types::kAnnotationsFieldNumber, image.annotations);
  const size_t whole =
      SizeOfBytes(api::Image::kNameFieldNumber, image.name) +
      SizeOfAll(api::Image::kLabelsFieldNumber, image.labels) +
      WireWriter::ElementSize(kTarget, target) +
      WireWriter::ElementSize(api::Image::kCreatedAtFieldNumber, image.created_at.size()) +
      WireWriter::ElementSize(api::Image::kUpdatedAtFieldNumber, image.updated_at.size());

  list_.Open(api::ListImagesResponse::kImagesFieldNumber, whole);
  list_.Bytes(api::Image::kNameFieldNumber, image.name);
  WriteAll(list_, api::Image::kLabelsFieldNumber, image.labels);
  list_.Open(kTarget, target);
  list_.Bytes(types::kMediaTypeFieldNumber, image.media_type);
  list_.Bytes(types::kDigestFieldNumber, image.digest);
  list_.Int(types::kSizeFieldNumber, image.size_bytes);
  WriteAll(list_, types::kAnnotationsFieldNumber, image.annotations);
  list_.Element(api::Image::kCreatedAtFieldNumber, image.created_at);
  list_.Element(api::Image::kUpdatedAtFieldNumber, image.updated_at);
}

grpc::ByteBuffer ImageList::Take() {
  auto* const bytes = new std::string(list_.Take());
  // The slice frees it once it has gone out.
  const grpc::Slice slice(
      bytes->data(), bytes->size(), [](void* owned) { delete static_cast<std::string*>(owned); },
      bytes);
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace gantry::images
