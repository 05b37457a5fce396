#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "runtime/cgroup/device_policy.h"
#include "runtime/cgroup/device_program.h"
#include "runtime/cgroup/resources_v2.h"

namespace gantry::runtime {
namespace {

// True in a user namespace other than the first, whose map is the identity of all ids.
bool InUserNamespace() {
  const absl::StatusOr<std::string> map = ReadFile("/proc/self/uid_map");
  if (!map.ok()) return false;
  const std::vector<std::string> words =
      absl::StrSplit(*map, absl::ByAnyChar(" \n"), absl::SkipEmpty());
  return words != std::vector<std::string>{"0", "0", "4294967295"};
}

absl::Status SetDevices(const CgroupDir& dir, const std::vector<DeviceRule>& rules, CgroupAge age) {
  if (rules.empty() && age == CgroupAge::kExisting) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(const DevicePolicy policy, BuildDevicePolicy(rules));
  GANTRY_ASSIGN_OR_RETURN(const std::vector<bpf_insn> program, AssembleDeviceProgram(policy));
  absl::StatusOr<UniqueFd> loaded = LoadDeviceProgram(program);
  if (!loaded.ok()) {
    // The kernel takes such programs from the first user namespace alone. In another one nobody can
    // make devices, and those of the host obey their owners and modes.
    if (ErrnoOf(loaded.status()) == EPERM && InUserNamespace()) return absl::OkStatus();
    return Annotate(loaded.status(), "linux.resources.devices");
  }
  return Annotate(AttachDeviceProgram(dir, *loaded, age), "linux.resources.devices");
}

bool HasWord(absl::string_view text, absl::string_view word) {
  for (const absl::string_view one :
       absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    if (one == word) return true;
  }
  return false;
}

// Why the cgroup does not have `file`.
absl::Status Missing(const CgroupDir& dir, const std::string& file, absl::string_view what,
                     const ControllerErrors& unavailable) {
  const std::string controller = file.substr(0, file.find('.'));
  if (const auto error = unavailable.find(controller); error != unavailable.end()) {
    return Annotate(error->second, what);
  }
  if (HasWord(dir.Read("cgroup.controllers").value_or(""), controller)) {
    return absl::UnimplementedError(absl::StrCat(what, ": this kernel has no ", file));
  }
  return absl::UnimplementedError(
      absl::StrCat(what, ": cgroup ", dir.path(), " has no ", controller,
                   " controller: neither this host's cgroup v2 nor a parent offers it"));
}

absl::Status Write(const CgroupDir& dir, const FileWrite& write,
                   const ControllerErrors& unavailable) {
  const absl::Status status = dir.Write(write.file.c_str(), write.value);
  if (status.ok()) return status;
  const int error = ErrnoOf(status);
  const std::string what = absl::StrCat("linux.resources.", write.field, " = ", write.value);
  if (error == ENOENT) {
    return write.optional ? absl::OkStatus() : Missing(dir, write.file, what, unavailable);
  }
  switch (error) {
    case EINVAL:
    case ERANGE:
    case ENOTSUP:
    case ENODEV:  // io.max: no such disk
    case EACCES:  // unified: a file that only tells
      return WithCode(Annotate(status, what), absl::StatusCode::kInvalidArgument);
    default:
      return Annotate(status, what);
  }
}

}  // namespace

absl::Status ApplyResourcesV2(const CgroupDir& dir, const LinuxResources& resources, CgroupAge age,
                              const ControllerErrors& unavailable) {
  GANTRY_ASSIGN_OR_RETURN(
      const std::vector<FileWrite> writes,
      PlanResourcesV2(resources, [&dir](const char* file) { return dir.Read(file); }));
  GANTRY_RETURN_IF_ERROR(SetDevices(dir, resources.devices, age));
  for (const FileWrite& write : writes) GANTRY_RETURN_IF_ERROR(Write(dir, write, unavailable));
  return absl::OkStatus();
}

}  // namespace gantry::runtime
