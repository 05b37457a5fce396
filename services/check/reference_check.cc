#include "services/check/reference_check.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "services/metadata/lease_resources.h"

namespace gantry::check {
namespace {

// A record that names one that is not there.
struct Dangling {
  gc::Node from;
  gc::Node to;
};

absl::Status Find(const metadata::Reader& reader, const gc::Collectible& kind,
                  const std::set<std::string>& known, std::vector<Dangling>* found,
                  const Report& report) {
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces,
                          reader.Namespaces(kind.bucket()));
  for (const std::string& ns : namespaces) {
    const auto look = [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
      const gc::Node from = {.bucket = kind.bucket(), .ns = ns, .name = std::string(name)};
      const absl::StatusOr<gc::Links> links = kind.LinksOf(reader, from, bytes, absl::Now());
      if (!links.ok()) {
        report({.kind = "record.unreadable",
                .subject = absl::StrCat(from.bucket, " ", name),
                .where = ns,
                .detail = std::string(links.status().message())});
        return absl::OkStatus();
      }
      for (const gc::Node& to : links->held) {
        if (known.count(to.bucket) == 0) continue;
        GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> there,
                                reader.Get(to.bucket, to.ns, to.name));
        if (!there.has_value()) found->push_back({from, to});
      }
      return absl::OkStatus();
    };
    GANTRY_RETURN_IF_ERROR(reader.ForEach(kind.bucket(), ns, look));
  }
  return absl::OkStatus();
}

// What a lease calls the kind of a resource.
std::string TypeOf(const gc::Node& node) {
  return node.bucket == gc::kContentBucket ? "content" : node.bucket;
}

Finding Describe(const Dangling& dangling) {
  // "images" tells of an image.
  const std::string what(absl::StripSuffix(dangling.from.bucket, "s"));
  return {.kind = absl::StrCat(what, ".reference"),
          .subject = dangling.from.name,
          .where = dangling.from.ns,
          .detail = absl::StrCat("needs ", TypeOf(dangling.to), " ", dangling.to.name,
                                 ", which is not there"),
          .lost = dangling.from.bucket != gc::kLeaseBucket};
}

}  // namespace

absl::Status CheckReferences(metadata::Store& store,
                             const std::vector<const gc::Collectible*>& kinds,
                             const std::set<std::string>& known, const Options& options,
                             const Report& report) {
  std::vector<Dangling> found;
  GANTRY_RETURN_IF_ERROR(store.View([&](const metadata::Reader& reader) -> absl::Status {
    for (const gc::Collectible* kind : kinds) {
      GANTRY_RETURN_IF_ERROR(Find(reader, *kind, known, &found, report));
    }
    return absl::OkStatus();
  }));
  for (const Dangling& dangling : found) {
    Finding finding = Describe(dangling);
    if (options.repair && dangling.from.bucket == gc::kLeaseBucket) {
      GANTRY_RETURN_IF_ERROR(store.Update([&](metadata::Writer& writer) {
        return metadata::DetachFromLease(writer, dangling.from.ns, dangling.from.name,
                                         {TypeOf(dangling.to), dangling.to.name});
      }));
      finding.mended = "the lease let go of it";
    }
    report(finding);
  }
  return absl::OkStatus();
}

}  // namespace gantry::check
