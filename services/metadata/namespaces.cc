#include "services/metadata/namespaces.h"

#include "base/errors.h"
#include "services/metadata/codec.h"

namespace gantry::metadata {
namespace {

constexpr char kBucket[] = "namespaces";
constexpr uint32_t kLabelField = 1;

}  // namespace

std::string EncodeNamespace(const Labels& labels) {
  WireWriter writer;
  PutLabels(writer, kLabelField, labels);
  return writer.Take();
}

absl::StatusOr<Labels> DecodeNamespace(absl::string_view name, absl::string_view bytes) {
  Labels labels;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == kLabelField) labels.insert(reader.map_entry());
  }
  GANTRY_RETURN_IF_ERROR(Annotate(reader.status(), absl::StrCat("namespace ", name)));
  return labels;
}

absl::StatusOr<Labels> NamespaceLabels(const Reader& reader, absl::string_view ns) {
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> bytes, reader.Get(kBucket, "", ns));
  if (!bytes.has_value()) return Labels();
  return DecodeNamespace(ns, *bytes);
}

absl::Status EnsureNamespace(Writer& writer, absl::string_view ns) {
  if (ns.empty()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(const std::optional<std::string> found, writer.Get(kBucket, "", ns));
  if (found.has_value()) return absl::OkStatus();
  return writer.Put(kBucket, "", ns, EncodeNamespace({}));
}

absl::StatusOr<std::vector<std::string>> ListNamespaces(const Store& store) {
  std::vector<std::string> names;
  GANTRY_RETURN_IF_ERROR(store.View([&names](const Reader& reader) {
    return reader.ForEach("namespaces", "", [&names](absl::string_view name, absl::string_view) {
      names.emplace_back(name);
      return absl::OkStatus();
    });
  }));
  return names;
}

}  // namespace gantry::metadata
