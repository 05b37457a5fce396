#include "services/containers/containers.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "services/metadata/codec.h"
#include "services/metadata/filter.h"
#include "services/metadata/label_mask.h"
#include "services/metadata/namespaces.h"

namespace gantry::containers {
namespace {

constexpr auto& kBucket = gc::kContainerBucket;

// Numbers are for ever: a record written today is read by every later release.
enum Field : uint32_t {
  kLabel = 1,
  kImage = 2,
  kRuntimeName = 3,
  kRuntimeOptions = 4,
  kSpec = 5,
  kSnapshotter = 6,
  kSnapshotKey = 7,
  kCreated = 8,
  kUpdated = 9,
  kExtension = 10,  // field 1 the name, field 2 the Any
  kSandbox = 11,
};

std::string Encode(const Container& container) {
  WireWriter writer;
  metadata::PutLabels(writer, kLabel, container.labels);
  writer.Bytes(kImage, container.image);
  writer.Bytes(kRuntimeName, container.runtime_name);
  metadata::PutAny(writer, kRuntimeOptions, container.runtime_options);
  metadata::PutAny(writer, kSpec, container.spec);
  writer.Bytes(kSnapshotter, container.snapshotter);
  writer.Bytes(kSnapshotKey, container.snapshot_key);
  metadata::PutTime(writer, kCreated, container.created_at);
  metadata::PutTime(writer, kUpdated, container.updated_at);
  for (const auto& [name, any] : container.extensions) {
    WireWriter entry;
    entry.Bytes(1, name);
    metadata::PutAny(entry, 2, any);
    writer.Element(kExtension, entry.bytes());
  }
  writer.Bytes(kSandbox, container.sandbox);
  return writer.Take();
}

absl::StatusOr<Container> Decode(absl::string_view id, absl::string_view bytes) {
  Container container;
  container.id = std::string(id);
  WireReader reader(bytes);
  while (reader.Next()) {
    switch (reader.field()) {
      case kLabel:
        container.labels.insert(reader.map_entry());
        break;
      case kImage:
        container.image = reader.str();
        break;
      case kRuntimeName:
        container.runtime_name = reader.str();
        break;
      case kRuntimeOptions:
        container.runtime_options = metadata::GetAny(reader.bytes());
        break;
      case kSpec:
        container.spec = metadata::GetAny(reader.bytes());
        break;
      case kSnapshotter:
        container.snapshotter = reader.str();
        break;
      case kSnapshotKey:
        container.snapshot_key = reader.str();
        break;
      case kCreated:
        container.created_at = metadata::GetTime(reader);
        break;
      case kUpdated:
        container.updated_at = metadata::GetTime(reader);
        break;
      case kExtension: {
        std::string name;
        Any any;
        WireReader entry(reader.bytes());
        while (entry.Next()) {
          if (entry.field() == 1) name = entry.str();
          if (entry.field() == 2) any = metadata::GetAny(entry.bytes());
        }
        container.extensions[name] = std::move(any);
        break;
      }
      case kSandbox:
        container.sandbox = reader.str();
        break;
      default:
        break;
    }
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), absl::StrCat("container ", id)));
  return container;
}

absl::StatusOr<std::optional<Container>> Find(const metadata::Reader& reader, const std::string& ns,
                                              const std::string& id) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, reader.Get(kBucket, ns, id));
  if (!bytes.has_value()) return std::optional<Container>();
  GANTRY_ASSIGN_OR_RETURN(Container container, Decode(id, *bytes));
  return std::optional<Container>(std::move(container));
}

absl::Status NotFound(const std::string& ns, const std::string& id) {
  return absl::NotFoundError(absl::StrCat("container \"", absl::CHexEscape(id),
                                          "\" in namespace \"", ns, "\": not found"));
}

// An id that could not have been made is one that is not there: only its absence is an error.
absl::Status RequireId(const std::string& id) {
  if (!id.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("container id must be provided: invalid argument");
}

absl::Status Validate(const Container& container) {
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("container.ID", container.id));
  GANTRY_RETURN_IF_ERROR(Annotate(ValidateLabels(container.labels), "container.Labels"));
  for (const auto& [name, any] : container.extensions) {
    if (name.empty()) {
      return absl::InvalidArgumentError(
          "container.Extension keys must not be zero-length: invalid argument");
    }
  }
  if (container.runtime_name.empty()) {
    return absl::InvalidArgumentError("container.Runtime.Name must be set: invalid argument");
  }
  if (container.spec.type_url.empty() && container.spec.value.empty()) {
    return absl::InvalidArgumentError("container.Spec must be set: invalid argument");
  }
  if (!container.snapshot_key.empty() && container.snapshotter.empty()) {
    return absl::InvalidArgumentError(
        "container.Snapshotter must be set if container.SnapshotKey is set: invalid argument");
  }
  return absl::OkStatus();
}

metadata::Adaptor AdaptorOf(const Container& container) {
  return [&container](std::span<const std::string> path) -> std::optional<std::string> {
    const auto text = [](const std::string& value) {
      return value.empty() ? std::nullopt : std::optional(value);
    };
    if (path[0] == "id") return text(container.id);
    if (path[0] == "image") return text(container.image);
    if (path[0] == "snapshotter") return text(container.snapshotter);
    if (path[0] == "snapshotkey") return text(container.snapshot_key);
    if (path[0] == "runtime" && path.size() == 2 && path[1] == "name")
      return text(container.runtime_name);
    if (path[0] == "labels") return metadata::LabelField(container.labels, path.subspan(1));
    return std::nullopt;
  };
}

absl::Status ApplyPath(const std::string& path, const Container& wanted, Container* updated) {
  if (metadata::ApplyLabelPath(path, wanted.labels, &updated->labels)) return absl::OkStatus();
  absl::string_view extension = path;
  if (absl::ConsumePrefix(&extension, "extensions.")) {
    const std::string name(extension);
    const auto found = wanted.extensions.find(name);
    if (found == wanted.extensions.end()) {
      updated->extensions.erase(name);
    } else {
      updated->extensions[name] = found->second;
    }
  } else if (path == "extensions") {
    updated->extensions = wanted.extensions;
  } else if (path == "spec") {
    updated->spec = wanted.spec;
  } else if (path == "image") {
    updated->image = wanted.image;
  } else if (path == "snapshotkey") {
    updated->snapshot_key = wanted.snapshot_key;
  } else if (path == "snapshotter") {
    updated->snapshotter = wanted.snapshotter;
  } else {
    return absl::InvalidArgumentError(absl::StrCat("cannot update \"", absl::CHexEscape(path),
                                                   "\" field on container \"", wanted.id,
                                                   "\": invalid argument"));
  }
  return absl::OkStatus();
}

// Without a mask the request stands for the whole record, so it must tell what never changes as it
// is.
absl::Status CheckImmutable(const Container& found, const Container& wanted) {
  const char* field = nullptr;
  if (wanted.snapshotter != found.snapshotter) field = "Snapshotter";
  if (wanted.runtime_name != found.runtime_name) field = "Runtime.Name";
  if (field == nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("container.", field, " field is immutable: invalid argument"));
}

bool Names(const std::vector<std::string>& paths, absl::string_view path) {
  return std::find(paths.begin(), paths.end(), path) != paths.end();
}

}  // namespace

absl::StatusOr<Container> Containers::Get(const std::string& ns, const std::string& id) const {
  if (id.empty()) return NotFound(ns, id);
  std::optional<Container> found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, Find(reader, ns, id));
    return found.has_value() ? absl::OkStatus() : NotFound(ns, id);
  }));
  return *std::move(found);
}

absl::StatusOr<std::vector<Container>> Containers::List(
    const std::string& ns, const std::vector<std::string>& filters) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::FilterSet set, metadata::FilterSet::Parse(filters));
  std::vector<Container> list;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) {
    return reader.ForEach(kBucket, ns,
                          [&](absl::string_view id, absl::string_view bytes) -> absl::Status {
                            GANTRY_ASSIGN_OR_RETURN(Container container, Decode(id, bytes));
                            if (set.Match(AdaptorOf(container)))
                              list.push_back(std::move(container));
                            return absl::OkStatus();
                          });
  }));
  return list;
}

absl::StatusOr<Container> Containers::Create(const std::string& ns, const Container& wanted) {
  GANTRY_RETURN_IF_ERROR(Annotate(Validate(wanted), "create container failed validation"));
  Container created = wanted;
  created.created_at = created.updated_at = absl::Now();
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Container> found, Find(writer, ns, wanted.id));
    if (found.has_value()) {
      return absl::AlreadyExistsError(
          absl::StrCat("container \"", wanted.id, "\": already exists"));
    }
    GANTRY_RETURN_IF_ERROR(metadata::EnsureNamespace(writer, ns));
    return writer.Put(kBucket, ns, wanted.id, Encode(created));
  }));
  return created;
}

absl::StatusOr<Container> Containers::Update(const std::string& ns, const Container& wanted,
                                             const std::vector<std::string>& paths) {
  GANTRY_RETURN_IF_ERROR(RequireId(wanted.id));
  Container updated;
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Container> found, Find(writer, ns, wanted.id));
    if (!found.has_value()) return NotFound(ns, wanted.id);
    updated = *found;
    if (paths.empty()) GANTRY_RETURN_IF_ERROR(CheckImmutable(*found, wanted));
    const std::vector<std::string> all = {"labels", "spec", "extensions", "image", "snapshotkey"};
    for (const std::string& path : paths.empty() ? all : paths) {
      GANTRY_RETURN_IF_ERROR(ApplyPath(path, wanted, &updated));
    }
    if (updated.snapshotter != found->snapshotter && !Names(paths, "snapshotkey")) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot update \"snapshotter\" field on container \"", wanted.id,
                       "\" without \"snapshotkey\": invalid argument"));
    }
    GANTRY_RETURN_IF_ERROR(Annotate(Validate(updated), "update failed validation"));
    updated.updated_at = absl::Now();
    return writer.Put(kBucket, ns, wanted.id, Encode(updated));
  }));
  return updated;
}

absl::Status Containers::Delete(const std::string& ns, const std::string& id) {
  if (id.empty()) return NotFound(ns, id);
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const bool existed, writer.Delete(kBucket, ns, id));
    writer.NoteDeletion();
    return existed ? absl::OkStatus() : NotFound(ns, id);
  });
}

absl::StatusOr<gc::Links> Containers::LinksOf(const metadata::Reader&, const gc::Node& node,
                                              absl::string_view bytes, absl::Time now) const {
  GANTRY_ASSIGN_OR_RETURN(const Container container, Decode(node.name, bytes));
  gc::Links links;
  gc::AddLabelLinks(node.ns, container.labels, now, &links);
  links.root = true;
  if (!container.snapshotter.empty()) {
    links.held.push_back({.bucket = gc::kSnapshotBuckets + container.snapshotter,
                          .ns = node.ns,
                          .name = container.snapshot_key});
  }
  return links;
}

}  // namespace gantry::containers
