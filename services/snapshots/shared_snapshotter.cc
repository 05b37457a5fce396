#include "services/snapshots/shared_snapshotter.h"

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "services/metadata/namespaces.h"

namespace gantry::snapshots {
absl::StatusOr<std::vector<std::string>> SharedSnapshotter::Namespaces() const {
  GANTRY_ASSIGN_OR_RETURN(std::vector<std::string> namespaces, metadata::ListNamespaces(store_));
  namespaces.emplace_back();
  return namespaces;
}

absl::StatusOr<Scope> SharedSnapshotter::ResolveChild(const Scope& scope,
                                                      const std::string& parent) const {
  return parent.empty() ? absl::StatusOr<Scope>(scope) : Resolve(scope, parent);
}

absl::StatusOr<Scope> SharedSnapshotter::Resolve(const Scope& scope, const std::string& key) const {
  if (!scope.ns.empty()) {
    const bool elsewhere =
        absl::IsNotFound(inner_.Stat(scope, key).status()) && inner_.Stat(Scope(), key).ok();
    return elsewhere ? Scope() : scope;
  }
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> namespaces, Namespaces());
  std::optional<Scope> found;
  for (const std::string& ns : namespaces) {
    const absl::Status there = inner_.Stat(Scope{ns, ""}, key).status();
    if (absl::IsNotFound(there)) continue;
    GANTRY_RETURN_IF_ERROR(there);
    if (found.has_value()) {
      return absl::FailedPreconditionError(absl::StrCat("snapshot ", key, " is in namespaces \"",
                                                        found->ns, "\" and \"", ns,
                                                        "\": namespace is required"));
    }
    found = Scope{ns, ""};
  }
  if (!found.has_value()) {
    return absl::NotFoundError(absl::StrCat("snapshot ", key, " does not exist: not found"));
  }
  return *std::move(found);
}

absl::StatusOr<std::vector<Mount>> SharedSnapshotter::Prepare(const Scope& scope,
                                                              const std::string& key,
                                                              const std::string& parent,
                                                              const Labels& labels) {
  GANTRY_ASSIGN_OR_RETURN(const Scope in, ResolveChild(scope, parent));
  return inner_.Prepare(in, key, parent, labels);
}

absl::StatusOr<std::vector<Mount>> SharedSnapshotter::View(const Scope& scope,
                                                           const std::string& key,
                                                           const std::string& parent,
                                                           const Labels& labels) {
  GANTRY_ASSIGN_OR_RETURN(const Scope in, ResolveChild(scope, parent));
  return inner_.View(in, key, parent, labels);
}

absl::StatusOr<std::vector<Mount>> SharedSnapshotter::Mounts(const Scope& scope,
                                                             const std::string& key) {
  GANTRY_ASSIGN_OR_RETURN(const Scope in, Resolve(scope, key));
  return inner_.Mounts(in, key);
}

absl::Status SharedSnapshotter::Commit(const Scope& scope, const std::string& name,
                                       const std::string& key, const Labels& labels) {
  GANTRY_ASSIGN_OR_RETURN(const Scope in, Resolve(scope, key));
  return inner_.Commit(in, name, key, labels);
}

absl::Status SharedSnapshotter::Remove(const Scope& scope, const std::string& key) {
  GANTRY_ASSIGN_OR_RETURN(const Scope in, Resolve(scope, key));
  return inner_.Remove(in, key);
}

absl::StatusOr<Info> SharedSnapshotter::Stat(const Scope& scope, const std::string& key) {
  GANTRY_ASSIGN_OR_RETURN(const Scope in, Resolve(scope, key));
  return inner_.Stat(in, key);
}

absl::StatusOr<Info> SharedSnapshotter::Update(const Scope& scope, const Info& info,
                                               const std::vector<std::string>& paths) {
  GANTRY_ASSIGN_OR_RETURN(const Scope in, Resolve(scope, info.name));
  return inner_.Update(in, info, paths);
}

absl::StatusOr<std::vector<Info>> SharedSnapshotter::List(const Scope& scope,
                                                          const std::vector<std::string>& filters) {
  std::vector<std::string> namespaces = {scope.ns, ""};
  if (scope.ns.empty()) {
    GANTRY_ASSIGN_OR_RETURN(namespaces, Namespaces());
  }
  std::vector<Info> all;
  for (const std::string& ns : namespaces) {
    GANTRY_ASSIGN_OR_RETURN(std::vector<Info> list, inner_.List(Scope{ns, ""}, filters));
    all.insert(all.end(), std::make_move_iterator(list.begin()),
               std::make_move_iterator(list.end()));
  }
  return all;
}

absl::StatusOr<Usage> SharedSnapshotter::GetUsage(const Scope& scope, const std::string& key) {
  GANTRY_ASSIGN_OR_RETURN(const Scope in, Resolve(scope, key));
  return inner_.GetUsage(in, key);
}

}  // namespace gantry::snapshots
