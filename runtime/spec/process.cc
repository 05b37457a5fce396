#include "runtime/spec/process.h"

#include <limits>

#include "base/errors.h"
#include "runtime/spec/json_fields.h"
#include "runtime/spec/names.h"
#include "runtime/spec/scheduling.h"

namespace gantry::runtime {
namespace {

absl::StatusOr<gid_t> GroupFromJson(const Json& json, absl::string_view path) {
  if (!json.is_number_unsigned() || json.get<uint64_t>() >= std::numeric_limits<gid_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a group id: ", DumpJson(json)));
  }
  return static_cast<gid_t>(json.get<uint64_t>());
}

absl::StatusOr<User> UserFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  User user;
  fields.Read("uid", &user.uid);
  fields.Read("gid", &user.gid);
  std::optional<uint32_t> mask;
  fields.Read("umask", &mask);
  if (mask.has_value()) user.umask = *mask & 0777;
  fields.ReadArray<gid_t>("additionalGids", &user.additional_gids, GroupFromJson);
  if (!fields.ok()) return fields.status();
  return user;
}

absl::Status ReadCapabilitySet(JsonFields& fields, const char* name, uint64_t* mask) {
  std::vector<std::string> names;
  fields.Read(name, &names);
  for (const std::string& capability : names) {
    const std::optional<int> number = CapabilityByName(capability);
    if (!number.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat(fields.path(), ".", name, ": unknown capability \"", capability, "\""));
    }
    *mask |= uint64_t{1} << *number;
  }
  return fields.status();
}

absl::StatusOr<Capabilities> CapabilitiesFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  Capabilities sets;
  GANTRY_RETURN_IF_ERROR(ReadCapabilitySet(fields, "bounding", &sets.bounding));
  GANTRY_RETURN_IF_ERROR(ReadCapabilitySet(fields, "effective", &sets.effective));
  GANTRY_RETURN_IF_ERROR(ReadCapabilitySet(fields, "inheritable", &sets.inheritable));
  GANTRY_RETURN_IF_ERROR(ReadCapabilitySet(fields, "permitted", &sets.permitted));
  GANTRY_RETURN_IF_ERROR(ReadCapabilitySet(fields, "ambient", &sets.ambient));
  return sets;
}

absl::StatusOr<Rlimit> RlimitFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  std::string type;
  Rlimit limit;
  fields.Read("type", &type);
  fields.Read("soft", &limit.soft);
  fields.Read("hard", &limit.hard);
  const std::optional<int> resource = RlimitByName(type);
  if (!resource.has_value()) {
    fields.FailField("type", absl::StrCat("unknown resource limit \"", type, "\""));
  } else {
    limit.resource = *resource;
  }
  if (limit.soft > limit.hard) {
    fields.FailField("soft", absl::StrCat(limit.soft, " is above hard, ", limit.hard));
  }
  if (!fields.ok()) return fields.status();
  return limit;
}

absl::StatusOr<ConsoleSize> ConsoleSizeFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  uint64_t height = 0;
  uint64_t width = 0;
  fields.Read("height", &height);
  fields.Read("width", &width);
  if (height > UINT16_MAX) fields.FailField("height", absl::StrCat(height, " is above 65535"));
  if (width > UINT16_MAX) fields.FailField("width", absl::StrCat(width, " is above 65535"));
  if (!fields.ok()) return fields.status();
  return ConsoleSize{static_cast<uint16_t>(height), static_cast<uint16_t>(width)};
}

}  // namespace

absl::StatusOr<Process> ProcessFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  Process process;
  fields.Read("terminal", &process.terminal);
  fields.ReadObject("consoleSize", &process.console_size, ConsoleSizeFromJson);
  std::optional<User> user;
  fields.ReadObject("user", &user, UserFromJson);
  if (user.has_value()) process.user = *std::move(user);
  fields.Read("args", &process.args);
  fields.Read("env", &process.env);
  fields.Read("cwd", &process.cwd);
  fields.ReadObject("capabilities", &process.capabilities, CapabilitiesFromJson);
  fields.ReadArray<Rlimit>("rlimits", &process.rlimits, RlimitFromJson);
  fields.Read("noNewPrivileges", &process.no_new_privileges);
  fields.Read("apparmorProfile", &process.apparmor_profile);
  fields.Read("selinuxLabel", &process.selinux_label);
  std::optional<int64_t> oom;
  fields.Read("oomScoreAdj", &oom);
  if (oom.has_value()) {
    if (*oom < -1000 || *oom > 1000) {
      fields.FailField("oomScoreAdj", absl::StrCat(*oom, " is not within -1000 to 1000"));
    }
    process.oom_score_adj = static_cast<int>(*oom);
  }
  fields.ReadObject("scheduler", &process.scheduler, SchedulerFromJson);
  fields.ReadObject("ioPriority", &process.io_priority, IoPriorityFromJson);
  std::optional<CpuAffinity> affinity;
  fields.ReadObject("execCPUAffinity", &affinity, CpuAffinityFromJson);
  if (affinity.has_value()) process.exec_cpu_affinity = *std::move(affinity);
  if (process.args.empty()) fields.FailField("args", "empty: there is no program to run");
  if (process.cwd.empty() || process.cwd[0] != '/') {
    fields.FailField("cwd", absl::StrCat("not an absolute path: \"", process.cwd, "\""));
  }
  if (!fields.ok()) return fields.status();
  return process;
}

absl::StatusOr<Process> ParseProcess(absl::string_view json) {
  GANTRY_ASSIGN_OR_RETURN(const Json parsed, ParseJson(json, "process"));
  return ProcessFromJson(parsed, "process");
}

}  // namespace gantry::runtime
