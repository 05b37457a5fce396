#include "services/metadata/lease_resources.h"

#include "base/errors.h"
#include "base/wire.h"

namespace gantry::metadata {
namespace {

constexpr char kBucket[] = "lease_resources";

// Resources lie under "namespace/lease" as the namespace of their bucket (the first has no
// slash), so that those of one lease are one range.
std::string Owner(absl::string_view ns, absl::string_view lease) {
  return absl::StrCat(ns, "/", lease);
}

std::string Name(absl::string_view type, absl::string_view id) {
  return absl::StrCat(type, " ", id);
}

std::string Encode(absl::string_view type, absl::string_view id) {
  WireWriter writer;
  writer.Bytes(1, type);
  writer.Bytes(2, id);
  return writer.Take();
}

}  // namespace

absl::Status CheckLease(const Reader& reader, absl::string_view ns, absl::string_view lease) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> record, reader.Get("leases", ns, lease));
  if (record.has_value()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("lease \"", lease, "\": not found"));
}

absl::Status AttachToLease(Writer& writer, absl::string_view ns, absl::string_view lease,
                           absl::string_view type, absl::string_view id) {
  if (lease.empty()) return absl::OkStatus();
  GANTRY_RETURN_IF_ERROR(CheckLease(writer, ns, lease));
  const std::string owner = Owner(ns, lease);
  return writer.Put(kBucket, owner, Name(type, id), Encode(type, id));
}

absl::Status DetachFromLease(Writer& writer, absl::string_view ns, absl::string_view lease,
                             const LeaseResource& resource) {
  const std::string owner = Owner(ns, lease);
  return writer.Delete(kBucket, owner, Name(resource.type, resource.id)).status();
}

absl::StatusOr<std::vector<LeaseResource>> ResourcesOfLease(const Reader& reader,
                                                            absl::string_view ns,
                                                            absl::string_view lease) {
  const std::string owner = Owner(ns, lease);
  std::vector<LeaseResource> resources;
  GANTRY_RETURN_IF_ERROR(reader.ForEach(
      kBucket, owner, [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
        LeaseResource resource;
        WireReader fields(bytes);
        while (fields.Next()) {
          if (fields.field() == 1) resource.type = fields.str();
          if (fields.field() == 2) resource.id = fields.str();
        }
        resources.push_back(std::move(resource));
        return Annotate(fields.status(), absl::StrCat("lease resource ", name));
      }));
  return resources;
}

std::optional<RecordName> LeaseOfResource(const RecordName& written) {
  if (written.bucket != kBucket) return std::nullopt;
  const size_t slash = written.ns.find('/');
  if (slash == std::string::npos) return std::nullopt;
  return RecordName{"leases", written.ns.substr(0, slash), written.ns.substr(slash + 1)};
}

absl::Status ClearLease(Writer& writer, absl::string_view ns, absl::string_view lease) {
  GANTRY_ASSIGN_OR_RETURN(const std::vector<LeaseResource> resources,
                          ResourcesOfLease(writer, ns, lease));
  for (const LeaseResource& resource : resources) {
    GANTRY_RETURN_IF_ERROR(DetachFromLease(writer, ns, lease, resource));
  }
  return absl::OkStatus();
}

}  // namespace gantry::metadata
