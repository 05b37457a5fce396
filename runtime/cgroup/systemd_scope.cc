#include "runtime/cgroup/systemd_scope.h"

#include <algorithm>
#include <utility>

#include "base/errors.h"
#include "base/file.h"
#include "runtime/cgroup/cgroup_v2.h"
#include "runtime/cgroup/resources_v2.h"

namespace gantry::runtime {
namespace {

std::vector<UnitProperty> ScopeProperties(const SystemdUnit& unit) {
  return {{"Description", absl::StrCat("gantry container ", unit.unit)},
          {"Slice", unit.slice},
          {"Delegate", true},
          // A container's end is its engine's affair, also at shutdown.
          {"DefaultDependencies", false},
          // Else a scope whose process was killed for memory would stay, failed, and keep its name.
          {"CollectMode", std::string("inactive-or-failed")},
          {"MemoryAccounting", true},
          {"CPUAccounting", true},
          {"IOAccounting", true},
          {"TasksAccounting", true}};
}

absl::Status Stop(const std::string& unit) {
  GANTRY_ASSIGN_OR_RETURN(SystemdClient systemd, SystemdClient::Connect());
  return systemd.StopUnit(unit);
}

}  // namespace

absl::Status CheckSystemdCgroup(absl::string_view cgroups_path) {
  if (std::count(cgroups_path.begin(), cgroups_path.end(), ':') != 2) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"",
        cgroups_path, "\" instead"));
  }
  GANTRY_ASSIGN_OR_RETURN(const CgroupLayout* layout, HostCgroupLayout());
  if (layout->unified_only()) return absl::OkStatus();
  return absl::UnimplementedError("systemd cgroups: this host has not cgroup v2 alone");
}

absl::StatusOr<std::unique_ptr<Cgroup>> SystemdScope::Create(const CgroupLayout& layout,
                                                             absl::string_view cgroups_path,
                                                             const LinuxResources& resources) {
  GANTRY_ASSIGN_OR_RETURN(const SystemdUnit unit, ParseSystemdPath(cgroups_path));
  // What cannot be is refused before anything is made.
  GANTRY_ASSIGN_OR_RETURN(
      const std::vector<FileWrite> writes,
      PlanResourcesV2(resources, [](const char* file) -> absl::StatusOr<std::string> {
        return absl::NotFoundError(file);
      }));
  GANTRY_ASSIGN_OR_RETURN(SystemdClient systemd, SystemdClient::Connect());
  GANTRY_ASSIGN_OR_RETURN(std::shared_ptr<Placeholder> placeholder, Placeholder::Start());
  std::vector<UnitProperty> properties = ScopeProperties(unit);
  for (UnitProperty& one : LimitProperties(writes)) properties.push_back(std::move(one));
  const absl::Status started = systemd.StartScope(unit.unit, placeholder->pid(), properties);
  if (absl::IsAlreadyExists(started)) {
    return WithCode(started, absl::StatusCode::kFailedPrecondition);
  }
  GANTRY_RETURN_IF_ERROR(started);
  absl::StatusOr<std::unique_ptr<Cgroup>> inner =
      CgroupV2::Adopt(layout.unified_mount + unit.path, resources);
  if (!inner.ok()) {
    placeholder.reset();
    systemd.StopUnit(unit.unit).IgnoreError();
    return inner.status();
  }
  std::unique_ptr<SystemdScope> scope(new SystemdScope(unit.unit, *std::move(inner)));
  scope->placeholder_ = std::move(placeholder);
  return scope;
}

absl::StatusOr<std::unique_ptr<Cgroup>> SystemdScope::Open(const CgroupLayout& layout,
                                                           absl::string_view cgroups_path) {
  GANTRY_ASSIGN_OR_RETURN(const SystemdUnit unit, ParseSystemdPath(cgroups_path));
  GANTRY_ASSIGN_OR_RETURN(std::unique_ptr<Cgroup> inner, CgroupV2::Open(layout, unit.path));
  return std::unique_ptr<Cgroup>(new SystemdScope(unit.unit, std::move(inner)));
}

absl::Status SystemdScope::AddProcess(pid_t pid) {
  GANTRY_RETURN_IF_ERROR(inner_->AddProcess(pid));
  placeholder_.reset();
  return absl::OkStatus();
}

absl::StatusOr<Cgroup::Entrance> SystemdScope::OpenEntrance() const {
  GANTRY_ASSIGN_OR_RETURN(Entrance entrance, inner_->OpenEntrance());
  entrance.keep = std::move(placeholder_);
  return entrance;
}

absl::Status SystemdScope::Apply(const LinuxResources& resources) {
  GANTRY_RETURN_IF_ERROR(inner_->Apply(resources));
  GANTRY_ASSIGN_OR_RETURN(
      const std::vector<FileWrite> writes,
      PlanResourcesV2(resources, [](const char* file) -> absl::StatusOr<std::string> {
        return absl::NotFoundError(file);
      }));
  const std::vector<UnitProperty> properties = LimitProperties(writes);
  if (properties.empty()) return absl::OkStatus();
  GANTRY_ASSIGN_OR_RETURN(SystemdClient systemd, SystemdClient::Connect());
  GANTRY_RETURN_IF_ERROR(systemd.SetProperties(unit_, properties));
  // systemd has rounded what it wrote.
  return inner_->Apply(resources);
}

absl::Status SystemdScope::RemoveIfEmpty() {
  placeholder_.reset();
  GANTRY_RETURN_IF_ERROR(inner_->RemoveIfEmpty());
  return Stop(unit_);
}

absl::Status SystemdScope::Remove() {
  placeholder_.reset();
  // Empty, systemd unloads the scope by itself, but nobody knows when: another container of the
  // same name may come at once.
  GANTRY_RETURN_IF_ERROR(inner_->Remove());
  return Stop(unit_);
}

}  // namespace gantry::runtime
