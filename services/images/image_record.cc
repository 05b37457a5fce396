#include "services/images/image_record.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "services/metadata/codec.h"

namespace gantry::images {
namespace {

// Numbers are for ever: a record written today is read by every later release.
enum Field : uint32_t {
  kLabel = 1,
  kMediaType = 2,
  kDigest = 3,
  kSize = 4,
  kAnnotation = 5,
  kCreated = 6,
  kUpdated = 7,
};

std::map<std::string, std::string> ToMap(const std::vector<absl::string_view>& entries) {
  std::map<std::string, std::string> map;
  for (const absl::string_view entry : entries) {
    const auto [key, value] = ReadMapEntry(entry);
    map.emplace(key, value);
  }
  return map;
}

// The value of the key that what follows "labels" makes, joined by dots.
std::optional<std::string> EntryField(const std::vector<absl::string_view>& entries,
                                      std::span<const std::string> path) {
  const std::string wanted = absl::StrJoin(path, ".");
  for (const absl::string_view entry : entries) {
    const auto [key, value] = ReadMapEntry(entry);
    if (key == wanted) return std::string(value);
  }
  return std::nullopt;
}

}  // namespace

std::string Encode(const Image& image) {
  WireWriter writer;
  metadata::PutLabels(writer, kLabel, image.labels);
  writer.Bytes(kMediaType, image.target.media_type);
  writer.Bytes(kDigest, image.target.digest);
  writer.Int(kSize, image.target.size_bytes);
  metadata::PutLabels(writer, kAnnotation, image.target.annotations);
  metadata::PutTime(writer, kCreated, image.created_at);
  metadata::PutTime(writer, kUpdated, image.updated_at);
  return writer.Take();
}

absl::Status ImageView::Read(absl::string_view record_name, absl::string_view bytes) {
  name = record_name;
  labels.clear();
  annotations.clear();
  media_type = digest = created_at = updated_at = {};
  size_bytes = 0;
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case kLabel:
        labels.push_back(reader.bytes());
        break;
      case kMediaType:
        media_type = reader.bytes();
        break;
      case kDigest:
        digest = reader.bytes();
        break;
      case kSize:
        size_bytes = reader.integer();
        break;
      case kAnnotation:
        annotations.push_back(reader.bytes());
        break;
      case kCreated:
        created_at = reader.bytes();
        break;
      case kUpdated:
        updated_at = reader.bytes();
        break;
      default:
        break;
    }
  }
  if (reader.status().ok()) return absl::OkStatus();
  return Annotate(reader.status(), absl::StrCat("image ", name));
}

absl::StatusOr<Image> Decode(absl::string_view name, absl::string_view bytes) {
  ImageView view;
  GANTRY_RETURN_IF_ERROR(view.Read(name, bytes));
  Image image;
  image.name = std::string(name);
  image.labels = ToMap(view.labels);
  image.target = {std::string(view.media_type), std::string(view.digest), view.size_bytes,
                  ToMap(view.annotations)};
  image.created_at = metadata::GetTime(view.created_at);
  image.updated_at = metadata::GetTime(view.updated_at);
  return image;
}

metadata::Adaptor AdaptorOf(const ImageView& image) {
  return [&image](std::span<const std::string> path) -> std::optional<std::string> {
    if (path[0] == "name") return std::string(image.name);
    if (path[0] == "target" && path.size() == 2) {
      if (path[1] == "digest") return std::string(image.digest);
      if (path[1] == "mediatype") return std::string(image.media_type);
    }
    if (path[0] == "labels") return EntryField(image.labels, path.subspan(1));
    if (path[0] == "annotations") return EntryField(image.annotations, path.subspan(1));
    return std::nullopt;
  };
}

}  // namespace gantry::images
