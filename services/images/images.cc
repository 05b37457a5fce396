#include "services/images/images.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/errors.h"
#include "services/images/image_record.h"
#include "services/metadata/filter.h"
#include "services/metadata/label_mask.h"
#include "services/metadata/namespaces.h"

namespace gantry::images {
namespace {

constexpr auto& kBucket = gc::kImageBucket;

absl::Status NotFound(const std::string& name) {
  return absl::NotFoundError(absl::StrCat("image \"", name, "\": not found"));
}

absl::StatusOr<std::optional<Image>> Find(const metadata::Reader& reader, const std::string& ns,
                                          const std::string& name) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, reader.Get(kBucket, ns, name));
  if (!bytes.has_value()) return std::optional<Image>();
  GANTRY_ASSIGN_OR_RETURN(Image image, Decode(name, *bytes));
  return std::optional<Image>(std::move(image));
}

absl::Status ValidateName(const std::string& name) {
  if (name.empty())
    return absl::InvalidArgumentError("image name must not be empty: invalid argument");
  return absl::OkStatus();
}

absl::Status Validate(const Image& image) {
  GANTRY_RETURN_IF_ERROR(ValidateName(image.name));
  GANTRY_RETURN_IF_ERROR(Annotate(ValidateLabels(image.labels), "image.labels"));
  GANTRY_RETURN_IF_ERROR(
      Annotate(Digest::Parse(image.target.digest).status(), "image.target.digest"));
  if (image.target.size_bytes <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("image.target.size ", image.target.size_bytes,
                                                   " must be greater than zero: invalid argument"));
  }
  if (image.target.media_type.empty()) {
    return absl::InvalidArgumentError("image.target.mediatype must be set: invalid argument");
  }
  return absl::OkStatus();
}

absl::Status ApplyPath(const std::string& path, const Image& wanted, Image* updated) {
  if (metadata::ApplyLabelPath(path, wanted.labels, &updated->labels)) return absl::OkStatus();
  absl::string_view annotation = path;
  if (absl::ConsumePrefix(&annotation, "annotations.")) {
    metadata::ApplyLabelPath(absl::StrCat("labels.", annotation), wanted.target.annotations,
                             &updated->target.annotations);
  } else if (path == "annotations") {
    updated->target.annotations = wanted.target.annotations;
  } else if (path == "target") {
    updated->target = wanted.target;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("cannot update \"", path, "\" field on image \"",
                                                   wanted.name, "\": invalid argument"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Image> Images::Get(const std::string& ns, const std::string& name) const {
  if (name.empty()) return NotFound(name);
  std::optional<Image> found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, Find(reader, ns, name));
    return found.has_value() ? absl::OkStatus() : NotFound(name);
  }));
  return *std::move(found);
}

absl::Status Images::List(const std::string& ns, const std::vector<std::string>& filters,
                          const std::function<void(const ImageView&)>& visit) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  return store_.View([&](const metadata::Reader& reader) {
    ImageView image;
    const metadata::Adaptor adaptor = AdaptorOf(image);
    return reader.ForEach(kBucket, ns,
                          [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
                            GANTRY_RETURN_IF_ERROR(image.Read(name, bytes));
                            if (set.Match(adaptor)) visit(image);
                            return absl::OkStatus();
                          });
  });
}

absl::StatusOr<Image> Images::Create(const std::string& ns, const Image& wanted,
                                     std::optional<absl::Time> epoch) {
  GANTRY_RETURN_IF_ERROR(Validate(wanted));
  Image created = wanted;
  created.created_at = created.updated_at = epoch.value_or(absl::Now());
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Image> found, Find(writer, ns, wanted.name));
    if (found.has_value()) {
      return absl::AlreadyExistsError(absl::StrCat("image \"", wanted.name, "\": already exists"));
    }
    GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, ns));
    return writer.Put(kBucket, ns, wanted.name, Encode(created));
  }));
  return created;
}

absl::StatusOr<Image> Images::Update(const std::string& ns, const Image& wanted,
                                     const std::vector<std::string>& paths,
                                     std::optional<absl::Time> epoch) {
  GANTRY_RETURN_IF_ERROR(ValidateName(wanted.name));
  Image updated;
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Image> found, Find(writer, ns, wanted.name));
    if (!found.has_value()) return NotFound(wanted.name);
    updated = *found;
    const std::vector<std::string> all = {"labels", "target"};
    for (const std::string& path : paths.empty() ? all : paths) {
      GANTRY_RETURN_IF_ERROR(ApplyPath(path, wanted, &updated));
    }
    GANTRY_RETURN_IF_ERROR(Validate(updated));
    updated.updated_at = epoch.value_or(absl::Now());
    return writer.Put(kBucket, ns, wanted.name, Encode(updated));
  }));
  return updated;
}

absl::Status Images::Delete(const std::string& ns, const std::string& name,
                            const std::optional<Descriptor>& target) {
  if (name.empty()) return NotFound(name);
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Image> found, Find(writer, ns, name));
    if (!found.has_value()) return NotFound(name);
    if (target.has_value() && target->digest != found->target.digest) {
      return absl::NotFoundError(absl::StrCat("image \"", name, "\" has target ",
                                              found->target.digest, ", not ",
                                              absl::CHexEscape(target->digest), ": not found"));
    }
    writer.NoteDeletion();
    return writer.Delete(kBucket, ns, name).status();
  });
}

absl::StatusOr<gc::Links> Images::LinksOf(const metadata::Reader&, const gc::Node& node,
                                          absl::string_view bytes, absl::Time now) const {
  GANTRY_ASSIGN_OR_RETURN(const Image image, Decode(node.name, bytes));
  gc::Links links;
  gc::AddLabelLinks(node.ns, image.labels, now, &links);
  links.root = !gc::IsExpired(image.labels, now);
  links.held.push_back({.bucket = gc::kContentBucket, .ns = node.ns, .name = image.target.digest});
  return links;
}

absl::StatusOr<bool> Images::Remove(metadata::Writer& writer, const gc::Node& node) {
  return writer.Delete(kBucket, node.ns, node.name);
}

}  // namespace gantry::images
