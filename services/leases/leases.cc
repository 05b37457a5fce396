#include "services/leases/leases.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/errors.h"
#include "base/random.h"
#include "base/time.h"
#include "services/metadata/codec.h"
#include "services/metadata/filter.h"
#include "services/metadata/namespaces.h"

namespace gantry::leases {
namespace {

constexpr auto& kBucket = gc::kLeaseBucket;
constexpr size_t kMaxId = 256;
constexpr char kExpireLabel[] = "containerd.io/gc.expire";
constexpr char kFlatLabel[] = "containerd.io/gc.flat";

enum Field : uint32_t { kLabel = 1, kCreated = 2 };

std::string Encode(const Lease& lease) {
  WireWriter writer;
  metadata::PutLabels(writer, kLabel, lease.labels);
  metadata::PutTime(writer, kCreated, lease.created_at);
  return writer.Take();
}

absl::StatusOr<Lease> Decode(absl::string_view id, absl::string_view bytes) {
  Lease lease;
  lease.id = std::string(id);
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == kLabel) lease.labels.insert(reader.map_entry());
    if (reader.field() == kCreated) lease.created_at = metadata::GetTime(reader);
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), absl::StrCat("lease ", id)));
  return lease;
}

absl::Status CheckExists(const metadata::Reader& reader, const std::string& ns,
                         const std::string& id) {
  if (!id.empty()) {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> found, reader.Get(kBucket, ns, id));
    if (found.has_value()) return absl::OkStatus();
  }
  return absl::NotFoundError(absl::StrCat("lease \"", absl::CHexEscape(id), "\": not found"));
}

absl::Status ValidateResource(const metadata::LeaseResource& resource) {
  const std::vector<absl::string_view> parts = absl::StrSplit(resource.type, '/');
  const bool snapshot = parts[0] == "snapshots";
  if (!snapshot && parts[0] != "content" && parts[0] != "ingests" && parts[0] != "images") {
    return absl::UnimplementedError(absl::StrCat("resource type \"",
                                                 absl::CHexEscape(resource.type),
                                                 "\" not supported yet: not implemented"));
  }
  if (parts.size() != (snapshot ? 2 : 1) || parts.back().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid ", snapshot ? "snapshot " : "", "resource type \"",
                     absl::CHexEscape(resource.type), "\": invalid argument"));
  }
  if (resource.id.empty())
    return absl::InvalidArgumentError("resource.id must be set: invalid argument");
  if (resource.type != "content") return absl::OkStatus();
  return Annotate(Digest::Parse(resource.id).status(), "resource.id");
}

}  // namespace

absl::StatusOr<Lease> Leases::Create(const std::string& ns, const Lease& wanted) {
  Lease created = wanted;
  if (created.id.empty()) {
    created.id = absl::StrCat(absl::ToUnixNanos(absl::Now()) % 1000000000, "-", RandomHex(4));
  }
  if (created.id.size() > kMaxId) {
    return absl::InvalidArgumentError(absl::StrCat(
        "lease id of ", created.id.size(), " bytes, at most ", kMaxId, ": invalid argument"));
  }
  GANTRY_RETURN_IF_ERROR(Annotate(ValidateLabels(created.labels), "labels"));
  if (const auto expire = created.labels.find(kExpireLabel); expire != created.labels.end()) {
    GANTRY_RETURN_IF_ERROR(Annotate(ParseRfc3339(expire->second).status(), kExpireLabel));
  }
  created.created_at = absl::Now();
  const auto create = [&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> found,
                            writer.Get(kBucket, ns, created.id));
    if (found.has_value()) {
      return absl::AlreadyExistsError(absl::StrCat("lease \"", created.id, "\": already exists"));
    }
    GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, ns));
    return writer.Put(kBucket, ns, created.id, Encode(created));
  };
  // What it will hold is written after it, and with that it is on the disk.
  GANTRY_RETURN_IF_ERROR(store_.Update(create, metadata::OnDisk::kWithNext));
  return created;
}

absl::Status Leases::Delete(const std::string& ns, const std::string& id) {
  const auto remove = [&](metadata::Writer& writer) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(CheckExists(writer, ns, id));
    GANTRY_RETURN_IF_ERROR(metadata::ClearLease(writer, ns, id));
    writer.NoteDeletion();
    return writer.Delete(kBucket, ns, id).status();
  };
  // Before the collection that removes what it held is on the disk, so is this.
  return store_.Update(remove, metadata::OnDisk::kWithNext);
}

absl::StatusOr<std::vector<Lease>> Leases::List(const std::string& ns,
                                                const std::vector<std::string>& filters) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::vector<Lease> list;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) {
    return reader.ForEach(
        kBucket, ns, [&](absl::string_view id, absl::string_view bytes) -> absl::Status {
          GANTRY_ASSIGN_OR_RETURN(Lease lease, Decode(id, bytes));
          const bool matches =
              set.Match([&lease](std::span<const std::string> path) -> std::optional<std::string> {
                if (path[0] == "id") return lease.id;
                if (path[0] == "labels") return metadata::LabelField(lease.labels, path.subspan(1));
                return std::nullopt;
              });
          if (matches) list.push_back(std::move(lease));
          return absl::OkStatus();
        });
  }));
  return list;
}

absl::Status Leases::AddResource(const std::string& ns, const std::string& id,
                                 const metadata::LeaseResource& resource) {
  GANTRY_RETURN_IF_ERROR(ValidateResource(resource));
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(CheckExists(writer, ns, id));
    return metadata::AttachToLease(writer, ns, id, resource.type, resource.id);
  });
}

absl::Status Leases::DeleteResource(const std::string& ns, const std::string& id,
                                    const metadata::LeaseResource& resource) {
  GANTRY_RETURN_IF_ERROR(ValidateResource(resource));
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(CheckExists(writer, ns, id));
    writer.NoteDeletion();
    return metadata::DetachFromLease(writer, ns, id, resource);
  });
}

absl::StatusOr<std::vector<metadata::LeaseResource>> Leases::ListResources(
    const std::string& ns, const std::string& id) const {
  std::vector<metadata::LeaseResource> resources;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_RETURN_IF_ERROR(CheckExists(reader, ns, id));
    GANTRY_ASSIGN_OR_RETURN(resources, metadata::ResourcesOfLease(reader, ns, id));
    return absl::OkStatus();
  }));
  return resources;
}

std::optional<gc::Node> Leases::Affected(const metadata::RecordName& written) const {
  if (std::optional<metadata::RecordName> lease = metadata::LeaseOfResource(written)) {
    return gc::Node{.bucket = kBucket, .ns = lease->ns, .name = lease->name};
  }
  return gc::Collectible::Affected(written);
}

absl::StatusOr<gc::Links> Leases::LinksOf(const metadata::Reader& reader, const gc::Node& node,
                                          absl::string_view bytes, absl::Time now) const {
  GANTRY_ASSIGN_OR_RETURN(const Lease lease, Decode(node.name, bytes));
  gc::Links links;
  links.root = !gc::IsExpired(lease.labels, now);
  const bool flat = lease.labels.count(kFlatLabel) != 0;
  GANTRY_ASSIGN_OR_RETURN(std::vector<metadata::LeaseResource> resources,
                          metadata::ResourcesOfLease(reader, node.ns, node.name));
  for (metadata::LeaseResource& resource : resources) {
    // The other types are called what their buckets are.
    links.held.push_back(
        {.bucket = resource.type == "content" ? gc::kContentBucket : std::move(resource.type),
         .ns = node.ns,
         .name = std::move(resource.id),
         .flat = flat});
  }
  return links;
}

absl::StatusOr<bool> Leases::Remove(metadata::Writer& writer, const gc::Node& node) {
  GANTRY_RETURN_IF_ERROR(metadata::ClearLease(writer, node.ns, node.name));
  return writer.Delete(kBucket, node.ns, node.name);
}

}  // namespace gantry::leases
