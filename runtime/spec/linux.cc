#include <net/if.h>

#include "base/errors.h"
#include "runtime/spec/json_fields.h"
#include "runtime/spec/names.h"
#include "runtime/spec/process.h"
#include "runtime/spec/scheduling.h"

namespace gantry::runtime {
namespace {

constexpr NamespaceType kTypes[] = {
    NamespaceType::kPid, NamespaceType::kNetwork, NamespaceType::kMount,  NamespaceType::kIpc,
    NamespaceType::kUts, NamespaceType::kUser,    NamespaceType::kCgroup, NamespaceType::kTime};

void RequireAbsolute(JsonFields& fields, const char* name, const std::string& path) {
  if (path.empty() || path[0] != '/') {
    fields.FailField(name, absl::StrCat("not an absolute path: \"", path, "\""));
  }
}

absl::StatusOr<LinuxNamespace> NamespaceFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  std::string type;
  LinuxNamespace ns;
  fields.Read("type", &type);
  fields.Read("path", &ns.path);
  bool known = false;
  for (const NamespaceType candidate : kTypes) {
    if (type != NamespaceName(candidate)) continue;
    ns.type = candidate;
    known = true;
  }
  if (!known) fields.FailField("type", absl::StrCat("unknown namespace \"", type, "\""));
  if (!ns.path.empty()) RequireAbsolute(fields, "path", ns.path);
  if (!fields.ok()) return fields.status();
  return ns;
}

absl::StatusOr<LinuxDevice> DeviceFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  LinuxDevice device;
  std::string type;
  std::optional<uint32_t> mode;
  fields.Read("path", &device.path);
  fields.Read("type", &type);
  fields.Read("major", &device.major);
  fields.Read("minor", &device.minor);
  fields.Read("fileMode", &mode);
  fields.Read("uid", &device.uid);
  fields.Read("gid", &device.gid);
  RequireAbsolute(fields, "path", device.path);
  if (type != "c" && type != "u" && type != "b" && type != "p") {
    fields.FailField("type", absl::StrCat("unknown device type \"", type, "\""));
  } else {
    device.type = type[0];
  }
  // The file type in `fileMode` is said a second time by `type`.
  if (mode.has_value()) device.file_mode = *mode & 07777;
  if (!fields.ok()) return fields.status();
  return device;
}

absl::Status ReadNamespaces(JsonFields& fields, std::vector<LinuxNamespace>* out) {
  fields.ReadArray<LinuxNamespace>("namespaces", out, NamespaceFromJson);
  for (size_t i = 0; i < out->size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if ((*out)[i].type == (*out)[j].type) {
        fields.FailField(absl::StrCat("namespaces[", i, "].type"),
                         absl::StrCat("\"", NamespaceName((*out)[i].type), "\" is given twice"));
      }
    }
  }
  return fields.status();
}

void ReadSysctl(JsonFields& fields, std::map<std::string, std::string>* out) {
  const Json* object = fields.FindOf("sysctl", Json::value_t::object, "an object");
  if (object == nullptr) return;
  for (const auto& [key, value] : object->items()) {
    if (!value.is_string()) {
      fields.FailField(absl::StrCat("sysctl.", key), "not a string");
      return;
    }
    out->emplace(key, value.get<std::string>());
  }
}

absl::StatusOr<TimeOffset> TimeOffsetFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  TimeOffset offset;
  fields.Read("secs", &offset.seconds);
  fields.Read("nanosecs", &offset.nanoseconds);
  if (offset.nanoseconds >= 1000000000) {
    fields.FailField("nanosecs", absl::StrCat(offset.nanoseconds, " is a second or more"));
  }
  if (!fields.ok()) return fields.status();
  return offset;
}

void ReadTimeOffsets(JsonFields& fields, std::vector<TimeOffset>* out) {
  const Json* object = fields.FindOf("timeOffsets", Json::value_t::object, "an object");
  if (object == nullptr) return;
  for (const auto& [clock, value] : object->items()) {
    const std::string field = absl::StrCat("timeOffsets.", clock);
    if (clock != "monotonic" && clock != "boottime") {
      return fields.FailField(field, "unknown clock: there are monotonic and boottime");
    }
    absl::StatusOr<TimeOffset> offset =
        TimeOffsetFromJson(value, absl::StrCat(fields.path(), ".", field));
    if (!offset.ok()) return fields.Fail(offset.status());
    offset->clock = clock;
    out->push_back(*std::move(offset));
  }
}

// The kernel's rule (dev_valid_name).
bool IsDeviceName(absl::string_view name) {
  return !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
         name.find_first_of("/: \t\n\v\f\r") == absl::string_view::npos &&
         name.find('\0') == absl::string_view::npos;
}

void ReadNetDevices(JsonFields& fields, std::vector<NetDevice>* out) {
  const Json* object = fields.FindOf("netDevices", Json::value_t::object, "an object");
  if (object == nullptr) return;
  for (const auto& [host_name, value] : object->items()) {
    const std::string field = absl::StrCat("netDevices.", host_name);
    NetDevice device{host_name, ""};
    JsonFields inner(value, absl::StrCat(fields.path(), ".", field));
    inner.Read("name", &device.name);
    if (!inner.ok()) return fields.Fail(inner.status());
    if (device.name.empty()) device.name = host_name;
    if (!IsDeviceName(host_name) || !IsDeviceName(device.name)) {
      return fields.FailField(field, "not the name of a network device");
    }
    for (const NetDevice& other : *out) {
      if (other.name == device.name) {
        return fields.FailField(field, absl::StrCat("\"", device.name, "\" is given twice"));
      }
    }
    out->push_back(std::move(device));
  }
}

}  // namespace

absl::StatusOr<IdMapping> IdMappingFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  IdMapping mapping;
  fields.Read("containerID", &mapping.container_id);
  fields.Read("hostID", &mapping.host_id);
  fields.Read("size", &mapping.size);
  if (mapping.size == 0) fields.FailField("size", "0: maps nothing");
  if (!fields.ok()) return fields.status();
  return mapping;
}

const LinuxNamespace* Linux::FindNamespace(NamespaceType type) const {
  for (const LinuxNamespace& ns : namespaces) {
    if (ns.type == type) return &ns;
  }
  return nullptr;
}

absl::StatusOr<Linux> LinuxFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  // Passed over, they would leave a container without what it was promised.
  if (fields.Find("intelRdt") != nullptr) {
    return absl::UnimplementedError(
        absl::StrCat(path, ".intelRdt: is specified, but not supported by this runtime"));
  }
  Linux parsed;
  fields.ReadArray<IdMapping>("uidMappings", &parsed.uid_mappings, IdMappingFromJson);
  fields.ReadArray<IdMapping>("gidMappings", &parsed.gid_mappings, IdMappingFromJson);
  ReadSysctl(fields, &parsed.sysctl);
  ReadNetDevices(fields, &parsed.net_devices);
  std::optional<LinuxResources> resources;
  fields.ReadObject("resources", &resources, [](const Json& value, absl::string_view at) {
    return ResourcesFromJson(value, at);
  });
  if (resources.has_value()) parsed.resources = *std::move(resources);
  fields.Read("cgroupsPath", &parsed.cgroups_path);
  GANTRY_RETURN_IF_ERROR(ReadNamespaces(fields, &parsed.namespaces));
  fields.ReadArray<LinuxDevice>("devices", &parsed.devices, DeviceFromJson);
  fields.ReadObject("seccomp", &parsed.seccomp, [](const Json& value, absl::string_view at) {
    return SeccompFromJson(value, at);
  });
  fields.Read("rootfsPropagation", &parsed.rootfs_propagation);
  fields.Read("maskedPaths", &parsed.masked_paths);
  fields.Read("readonlyPaths", &parsed.readonly_paths);
  fields.Read("mountLabel", &parsed.mount_label);
  ReadTimeOffsets(fields, &parsed.time_offsets);
  fields.ReadObject("personality", &parsed.personality, PersonalityFromJson);
  fields.ReadObject("memoryPolicy", &parsed.memory_policy, MemoryPolicyFromJson);
  if (!parsed.rootfs_propagation.empty() &&
      !PropagationByName(parsed.rootfs_propagation).has_value()) {
    fields.FailField("rootfsPropagation",
                     absl::StrCat("unknown propagation \"", parsed.rootfs_propagation, "\""));
  }
  for (const std::string& masked : parsed.masked_paths)
    RequireAbsolute(fields, "maskedPaths", masked);
  for (const std::string& readonly : parsed.readonly_paths) {
    RequireAbsolute(fields, "readonlyPaths", readonly);
  }
  if (!fields.ok()) return fields.status();
  return parsed;
}

}  // namespace gantry::runtime
