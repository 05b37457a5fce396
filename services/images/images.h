#ifndef GANTRY_SERVICES_IMAGES_IMAGES_H_
#define GANTRY_SERVICES_IMAGES_IMAGES_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/identifiers.h"
#include "services/gc/gc.h"
#include "services/metadata/store.h"

namespace gantry::images {

// OCI image-spec, descriptor.md; size in bytes.
struct Descriptor {
  std::string media_type;
  std::string digest;
  int64_t size_bytes = 0;
  std::map<std::string, std::string> annotations;

  bool operator==(const Descriptor&) const = default;
};

// A name for content: what it points to is kept from collection.
struct Image {
  std::string name;
  Labels labels;
  Descriptor target;
  absl::Time created_at;
  absl::Time updated_at;
};

// An image as its record holds it, for lists of thousands: nothing is copied, all views are into
// the store and good only while they are shown. Entries and times are nested messages in
// base/wire.h's format: key 1 and value 2, seconds 1 and nanoseconds 2, as map<string, string> and
// google.protobuf.Timestamp have them.
struct ImageView {
  absl::string_view name;
  std::vector<absl::string_view> labels;  // entries
  absl::string_view media_type;
  absl::string_view digest;
  int64_t size_bytes = 0;
  std::vector<absl::string_view> annotations;  // entries
  absl::string_view created_at;
  absl::string_view updated_at;

  // Becomes what `bytes` are the record of. Errors: DataLoss.
  absl::Status Read(absl::string_view record_name, absl::string_view bytes);
};

// Images by namespace and name. Thread-safe; durable when a call returns. To a collection an image
// is a root until its containerd.io/gc.expire is past.
class Images : public gc::Collectible {
 public:
  explicit Images(metadata::Store& store) : store_(store) {}

  absl::StatusOr<Image> Get(const std::string& ns, const std::string& name) const;
  // Shows each image that matches, ordered by name, until it returns. Fields for filters: name,
  // target.digest, target.mediatype, labels, annotations. `visit` must not block.
  absl::Status List(const std::string& ns, const std::vector<std::string>& filters,
                    const std::function<void(const ImageView&)>& visit) const;
  // `epoch` stands in for now as the image's times (SOURCE_DATE_EPOCH), if given.
  // Errors: InvalidArgument naming the field; AlreadyExists.
  absl::StatusOr<Image> Create(const std::string& ns, const Image& wanted,
                               std::optional<absl::Time> epoch);
  // `paths`: labels, labels.KEY, target, annotations, annotations.KEY; none for labels and target.
  // Errors: NotFound; InvalidArgument.
  absl::StatusOr<Image> Update(const std::string& ns, const Image& wanted,
                               const std::vector<std::string>& paths,
                               std::optional<absl::Time> epoch);
  // With `target` only if the image still points there. Errors: NotFound.
  absl::Status Delete(const std::string& ns, const std::string& name,
                      const std::optional<Descriptor>& target);

  [[nodiscard]] std::string bucket() const override { return gc::kImageBucket; }
  [[nodiscard]] absl::StatusOr<gc::Links> LinksOf(const metadata::Reader& reader,
                                                  const gc::Node& node, absl::string_view bytes,
                                                  absl::Time now) const override;
  absl::StatusOr<bool> Remove(metadata::Writer& writer, const gc::Node& node) override;

 private:
  metadata::Store& store_;
};

}  // namespace gantry::images

#endif  // GANTRY_SERVICES_IMAGES_IMAGES_H_
