#include "runtime/spec/spec.h"

#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/json.h"
#include "runtime/spec/json_fields.h"
#include "runtime/spec/process.h"

namespace gantry::runtime {
namespace {

absl::StatusOr<Root> RootFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  Root root;
  fields.Read("path", &root.path);
  fields.Read("readonly", &root.readonly);
  if (root.path.empty()) fields.FailField("path", "empty");
  if (!fields.ok()) return fields.status();
  return root;
}

absl::StatusOr<SpecMount> MountFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  SpecMount mount;
  fields.Read("destination", &mount.destination);
  fields.Read("type", &mount.type);
  fields.Read("source", &mount.source);
  fields.Read("options", &mount.options);
  if (mount.destination.empty()) {
    fields.FailField("destination", "empty");
  } else if (mount.destination[0] != '/') {
    // What runc does with the relative destinations that some clients send.
    mount.destination = absl::StrCat("/", mount.destination);
  }
  fields.ReadArray<IdMapping>("uidMappings", &mount.uid_mappings, IdMappingFromJson);
  fields.ReadArray<IdMapping>("gidMappings", &mount.gid_mappings, IdMappingFromJson);
  if (mount.uid_mappings.empty() != mount.gid_mappings.empty()) {
    fields.FailField(mount.uid_mappings.empty() ? "uidMappings" : "gidMappings",
                     "missing: a mount is mapped for users and groups, or for neither");
  }
  if (!fields.ok()) return fields.status();
  return mount;
}

absl::StatusOr<Hook> HookFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  Hook hook;
  std::optional<int64_t> timeout;
  fields.Read("path", &hook.path);
  fields.Read("args", &hook.args);
  fields.Read("env", &hook.env);
  fields.Read("timeout", &timeout);
  if (hook.path.empty() || hook.path[0] != '/') {
    fields.FailField("path", absl::StrCat("not an absolute path: \"", hook.path, "\""));
  }
  if (timeout.has_value()) {
    if (*timeout <= 0 || *timeout > INT32_MAX) {
      fields.FailField("timeout", absl::StrCat(*timeout, " is not a number of seconds above 0"));
    }
    hook.timeout_seconds = static_cast<int>(*timeout);
  }
  if (!fields.ok()) return fields.status();
  return hook;
}

absl::StatusOr<Hooks> HooksFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  Hooks hooks;
  fields.ReadArray<Hook>("prestart", &hooks.prestart, HookFromJson);
  fields.ReadArray<Hook>("createRuntime", &hooks.create_runtime, HookFromJson);
  fields.ReadArray<Hook>("createContainer", &hooks.create_container, HookFromJson);
  fields.ReadArray<Hook>("startContainer", &hooks.start_container, HookFromJson);
  fields.ReadArray<Hook>("poststart", &hooks.poststart, HookFromJson);
  fields.ReadArray<Hook>("poststop", &hooks.poststop, HookFromJson);
  if (!fields.ok()) return fields.status();
  return hooks;
}

// The field `name` of the document through `parse`, which also names it in errors.
template <typename T, typename Parse>
absl::Status ReadPart(const Json& json, const char* name, Parse parse, T* out) {
  const auto found = json.find(name);
  if (found == json.end() || found->is_null()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(*out, parse(*found, name));
  return absl::OkStatus();
}

absl::StatusOr<std::string> StringFromJson(const Json& json, absl::string_view path) {
  if (!json.is_string()) return absl::InvalidArgumentError(absl::StrCat(path, ": not a string"));
  return json.get<std::string>();
}

absl::StatusOr<std::map<std::string, std::string>> AnnotationsFromJson(const Json& json,
                                                                       absl::string_view path) {
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(path, ": not an object"));
  std::map<std::string, std::string> annotations;
  for (const auto& [key, value] : json.items()) {
    GANTRY_ASSIGN_OR_RETURN(annotations[key], StringFromJson(value, absl::StrCat(path, ".", key)));
  }
  return annotations;
}

absl::StatusOr<std::vector<SpecMount>> MountsFromJson(const Json& json, absl::string_view path) {
  if (!json.is_array()) return absl::InvalidArgumentError(absl::StrCat(path, ": not an array"));
  std::vector<SpecMount> mounts;
  for (size_t i = 0; i < json.size(); ++i) {
    GANTRY_ASSIGN_OR_RETURN(SpecMount mount,
                            MountFromJson(json[i], absl::StrCat(path, "[", i, "]")));
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

}  // namespace

absl::StatusOr<Spec> ParseSpec(absl::string_view text) {
  GANTRY_ASSIGN_OR_RETURN(const Json json, ParseJson(text, "runtime spec"));
  if (!json.is_object()) return absl::InvalidArgumentError("runtime spec: not a JSON object");
  Spec spec;
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "ociVersion", StringFromJson, &spec.oci_version));
  if (!spec.oci_version.empty() && !absl::StartsWith(spec.oci_version, "1.")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ociVersion: not a version 1 of the runtime spec: \"", spec.oci_version, "\""));
  }
  for (const char* name : {"process", "root", "linux"}) {
    if (!json.contains(name)) return absl::InvalidArgumentError(absl::StrCat(name, ": missing"));
  }
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "process", ProcessFromJson, &spec.process));
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "root", RootFromJson, &spec.root));
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "hostname", StringFromJson, &spec.hostname));
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "domainname", StringFromJson, &spec.domainname));
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "mounts", MountsFromJson, &spec.mounts));
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "hooks", HooksFromJson, &spec.hooks));
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "linux", LinuxFromJson, &spec.linux_));
  GANTRY_RETURN_IF_ERROR(ReadPart(json, "annotations", AnnotationsFromJson, &spec.annotations));
  return spec;
}

absl::StatusOr<LinuxResources> ParseResources(absl::string_view text) {
  GANTRY_ASSIGN_OR_RETURN(const Json json, ParseJson(text, "resources"));
  return ResourcesFromJson(json, "resources");
}

}  // namespace gantry::runtime
