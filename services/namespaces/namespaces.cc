#include "services/namespaces/namespaces.h"

#include <array>

#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "services/metadata/filter.h"
#include "services/metadata/label_mask.h"
#include "services/metadata/lease_resources.h"
#include "services/metadata/namespaces.h"

namespace gantry::namespaces {
namespace {

constexpr char kBucket[] = "namespaces";

struct Kind {
  const char* bucket;
  const char* words;
};
// What keeps a namespace from being deleted, in the words of containerd's message.
constexpr std::array<Kind, 5> kHeld = {
    {{"images", "images"},
     {"blobs", "blobs"},
     {"containers", "containers"},
     {"snapshots/native", "snapshots on \"native\" snapshotter"},
     {"snapshots/overlayfs", "snapshots on \"overlayfs\" snapshotter"}}};

absl::StatusOr<Namespace> Decode(absl::string_view name, absl::string_view bytes) {
  GANTRY_ASSIGN_OR_RETURN(Labels labels, metadata::DecodeNamespace(name, bytes));
  return Namespace{std::string(name), std::move(labels)};
}

absl::StatusOr<std::optional<Namespace>> Find(const metadata::Reader& reader,
                                              const std::string& name) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, reader.Get(kBucket, "", name));
  if (!bytes.has_value()) return std::optional<Namespace>();
  GANTRY_ASSIGN_OR_RETURN(Namespace ns, Decode(name, *bytes));
  return std::optional<Namespace>(std::move(ns));
}

// A lease keeps no namespace: it goes with it, and with it what it holds.
absl::Status DropLeases(metadata::Writer& writer, const std::string& ns) {
  std::vector<std::string> leases;
  GANTRY_RETURN_IF_ERROR(
      writer.ForEach("leases", ns, [&leases](absl::string_view id, absl::string_view) {
        leases.emplace_back(id);
        return absl::OkStatus();
      }));
  for (const std::string& lease : leases) {
    GANTRY_RETURN_IF_ERROR(metadata::ClearLease(writer, ns, lease));
    GANTRY_RETURN_IF_ERROR(writer.Delete("leases", ns, lease).status());
  }
  return absl::OkStatus();
}

absl::Status NotFound(const std::string& name) {
  return absl::NotFoundError(absl::StrCat("namespace \"", name, "\": not found"));
}

}  // namespace

absl::StatusOr<Namespace> Namespaces::Get(const std::string& name) const {
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("namespace", name));
  std::optional<Namespace> found;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(found, Find(reader, name));
    return absl::OkStatus();
  }));
  return found.has_value() ? *std::move(found) : Namespace{.name = name};
}

absl::StatusOr<std::vector<Namespace>> Namespaces::List(const std::string& filter) const {
  GANTRY_ASSIGN_OR_RETURN(const metadata::Filter parsed, metadata::Filter::Parse(filter));
  std::vector<Namespace> list;
  GANTRY_RETURN_IF_ERROR(store_.View([&](const metadata::Reader& reader) {
    return reader.ForEach(
        kBucket, "", [&](absl::string_view name, absl::string_view bytes) -> absl::Status {
          GANTRY_ASSIGN_OR_RETURN(Namespace ns, Decode(name, bytes));
          const bool matches =
              parsed.Match([&ns](std::span<const std::string> path) -> std::optional<std::string> {
                if (path[0] == "name") return ns.name;
                if (path[0] == "labels") return metadata::LabelField(ns.labels, path.subspan(1));
                return std::nullopt;
              });
          if (matches) list.push_back(std::move(ns));
          return absl::OkStatus();
        });
  }));
  return list;
}

absl::StatusOr<Namespace> Namespaces::Create(const Namespace& wanted) {
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("namespace", wanted.name));
  GANTRY_RETURN_IF_ERROR(ValidateLabels(wanted.labels));
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Namespace> found, Find(writer, wanted.name));
    if (found.has_value()) {
      return absl::AlreadyExistsError(
          absl::StrCat("namespace \"", wanted.name, "\": already exists"));
    }
    return writer.Put(kBucket, "", wanted.name, metadata::EncodeNamespace(wanted.labels));
  }));
  return wanted;
}

absl::StatusOr<Namespace> Namespaces::Update(const Namespace& wanted,
                                             const std::vector<std::string>& paths) {
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("namespace", wanted.name));
  Namespace updated;
  GANTRY_RETURN_IF_ERROR(store_.Update([&](metadata::Writer& writer) -> absl::Status {
    GANTRY_ASSIGN_OR_RETURN(const std::optional<Namespace> found, Find(writer, wanted.name));
    updated = found.value_or(Namespace{wanted.name, {}});
    if (paths.empty()) updated.labels = wanted.labels;
    for (const std::string& path : paths) {
      if (!metadata::ApplyLabelPath(path, wanted.labels, &updated.labels)) {
        return absl::InvalidArgumentError(absl::StrCat("cannot update \"", path,
                                                       "\" field on namespace \"", wanted.name,
                                                       "\": invalid argument"));
      }
    }
    GANTRY_RETURN_IF_ERROR(ValidateLabels(updated.labels));
    return writer.Put(kBucket, "", wanted.name, metadata::EncodeNamespace(updated.labels));
  }));
  return updated;
}

absl::Status Namespaces::Delete(const std::string& name) {
  GANTRY_RETURN_IF_ERROR(ValidateIdentifier("namespace", name));
  return store_.Update([&](metadata::Writer& writer) -> absl::Status {
    std::vector<std::string> held;
    for (const Kind& kind : kHeld) {
      GANTRY_ASSIGN_OR_RETURN(const bool any, writer.HasAny(kind.bucket, name));
      if (any) held.emplace_back(kind.words);
    }
    if (!held.empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat("namespace \"", name, "\" must be empty, but it still has ",
                       absl::StrJoin(held, ", "), ": failed precondition"));
    }
    GANTRY_RETURN_IF_ERROR(DropLeases(writer, name));
    GANTRY_ASSIGN_OR_RETURN(const bool existed, writer.Delete(kBucket, "", name));
    return existed ? absl::OkStatus() : NotFound(name);
  });
}

}  // namespace gantry::namespaces
