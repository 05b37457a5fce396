#include <array>

#include "absl/strings/numbers.h"
#include "base/errors.h"
#include "runtime/cgroup/cgroup_v1.h"

namespace gantry::runtime {
namespace {

// Writes one limit. The kernel's refusal of a value is the spec's fault and names its field.
absl::Status Set(const CgroupDirs& dirs, absl::string_view controller, const char* file,
                 absl::string_view field, absl::string_view value) {
  const CgroupDir* const dir = dirs.Find(controller);
  const auto what = [&] { return absl::StrCat("linux.resources.", field, " = ", value); };
  if (dir == nullptr) {
    return absl::UnimplementedError(
        absl::StrCat(what(), ": this host has no ", controller, " controller"));
  }
  const absl::Status status = dir->Write(file, value);
  if (absl::IsNotFound(status)) {
    return absl::UnimplementedError(absl::StrCat(what(), ": this kernel has no ", file));
  }
  const int error = ErrnoOf(status);
  if (error == EINVAL || error == ERANGE || error == ENOTSUP) {
    return WithCode(Annotate(status, what()), absl::StatusCode::kInvalidArgument);
  }
  return Annotate(status, what());
}

template <typename Number>
absl::Status SetIf(const CgroupDirs& dirs, absl::string_view controller, const char* file,
                   absl::string_view field, const std::optional<Number>& value) {
  if (!value.has_value()) return absl::OkStatus();
  return Set(dirs, controller, file, field, absl::StrCat(*value));
}

absl::Status SetMemory(const CgroupDirs& dirs, const LinuxMemory& memory) {
  if (memory.check_before_update && memory.limit.has_value() && *memory.limit > 0) {
    if (const CgroupDir* const dir = dirs.Find("memory"); dir != nullptr) {
      GANTRY_ASSIGN_OR_RETURN(const uint64_t usage, dir->ReadNumber("memory.usage_in_bytes"));
      if (usage > static_cast<uint64_t>(*memory.limit)) {
        return absl::InvalidArgumentError(
            absl::StrCat("linux.resources.memory.limit = ", *memory.limit, ": below the usage of ",
                         usage, " bytes"));
      }
    }
  }
  // The kernel holds memory <= memory+swap at every moment, so which goes first depends on where
  // both are.
  const auto set_limit = [&] {
    return SetIf(dirs, "memory", "memory.limit_in_bytes", "memory.limit", memory.limit);
  };
  const auto set_swap = [&] {
    return SetIf(dirs, "memory", "memory.memsw.limit_in_bytes", "memory.swap", memory.swap);
  };
  bool swap_first = false;
  if (memory.limit.has_value() && memory.swap.has_value()) {
    const CgroupDir* const dir = dirs.Find("memory");
    const absl::StatusOr<uint64_t> now = dir != nullptr
                                             ? dir->ReadNumber("memory.memsw.limit_in_bytes")
                                             : absl::StatusOr<uint64_t>(0);
    swap_first = *memory.swap == -1 || (now.ok() && *now < static_cast<uint64_t>(*memory.limit));
  }
  GANTRY_RETURN_IF_ERROR(swap_first ? set_swap() : set_limit());
  GANTRY_RETURN_IF_ERROR(swap_first ? set_limit() : set_swap());
  GANTRY_RETURN_IF_ERROR(SetIf(dirs, "memory", "memory.soft_limit_in_bytes", "memory.reservation",
                               memory.reservation));
  // memory.kmem.limit_in_bytes has had no effect since 5.16; runc ignores the field as well.
  GANTRY_RETURN_IF_ERROR(SetIf(dirs, "memory", "memory.kmem.tcp.limit_in_bytes", "memory.kernelTCP",
                               memory.kernel_tcp));
  GANTRY_RETURN_IF_ERROR(
      SetIf(dirs, "memory", "memory.swappiness", "memory.swappiness", memory.swappiness));
  if (memory.disable_oom_killer.value_or(false)) {
    return Set(dirs, "memory", "memory.oom_control", "memory.disableOOMKiller", "1");
  }
  return absl::OkStatus();
}

absl::Status SetCpu(const CgroupDirs& dirs, const LinuxCpu& cpu) {
  if (cpu.shares.value_or(0) != 0) {
    GANTRY_RETURN_IF_ERROR(SetIf(dirs, "cpu", "cpu.shares", "cpu.shares", cpu.shares));
  }
  const std::optional<uint64_t> period = cpu.period.value_or(0) != 0 ? cpu.period : std::nullopt;
  const std::optional<int64_t> quota = cpu.quota.value_or(0) != 0 ? cpu.quota : std::nullopt;
  // quota/period may not pass the parent's: a period that shrinks under the old quota can, so then
  // the quota goes first and the period is tried again.
  bool period_later = false;
  if (period.has_value()) {
    const absl::Status status = SetIf(dirs, "cpu", "cpu.cfs_period_us", "cpu.period", period);
    period_later = ErrnoOf(status) == EINVAL && quota.has_value();
    if (!status.ok() && !period_later) return status;
  }
  if (quota.has_value()) {
    GANTRY_RETURN_IF_ERROR(SetIf(dirs, "cpu", "cpu.cfs_quota_us", "cpu.quota", quota));
  }
  if (period_later)
    GANTRY_RETURN_IF_ERROR(SetIf(dirs, "cpu", "cpu.cfs_period_us", "cpu.period", period));
  GANTRY_RETURN_IF_ERROR(SetIf(dirs, "cpu", "cpu.cfs_burst_us", "cpu.burst", cpu.burst));
  if (cpu.realtime_period.value_or(0) != 0) {
    GANTRY_RETURN_IF_ERROR(
        SetIf(dirs, "cpu", "cpu.rt_period_us", "cpu.realtimePeriod", cpu.realtime_period));
  }
  if (cpu.realtime_runtime.value_or(0) != 0) {
    GANTRY_RETURN_IF_ERROR(
        SetIf(dirs, "cpu", "cpu.rt_runtime_us", "cpu.realtimeRuntime", cpu.realtime_runtime));
  }
  GANTRY_RETURN_IF_ERROR(SetIf(dirs, "cpu", "cpu.idle", "cpu.idle", cpu.idle));
  if (!cpu.cpus.empty())
    GANTRY_RETURN_IF_ERROR(Set(dirs, "cpuset", "cpuset.cpus", "cpu.cpus", cpu.cpus));
  if (!cpu.mems.empty())
    GANTRY_RETURN_IF_ERROR(Set(dirs, "cpuset", "cpuset.mems", "cpu.mems", cpu.mems));
  return absl::OkStatus();
}

absl::Status SetBlockIo(const CgroupDirs& dirs, const LinuxBlockIo& io) {
  if (io.weight.value_or(0) != 0) {
    // The file's name depends on the scheduler: cfq's was blkio.weight, bfq's has its own.
    const CgroupDir* const dir = dirs.Find("blkio");
    const bool bfq = dir != nullptr && !dir->Has("blkio.weight") && dir->Has("blkio.bfq.weight");
    GANTRY_RETURN_IF_ERROR(SetIf(dirs, "blkio", bfq ? "blkio.bfq.weight" : "blkio.weight",
                                 "blockIO.weight", io.weight));
  }
  for (const WeightDevice& device : io.weight_device) {
    if (!device.weight.has_value()) continue;
    GANTRY_RETURN_IF_ERROR(Set(dirs, "blkio", "blkio.weight_device", "blockIO.weightDevice",
                               absl::StrCat(device.major, ":", device.minor, " ", *device.weight)));
  }
  struct Throttle {
    const std::vector<ThrottleDevice>& devices;
    const char* file;
    const char* field;
  };
  const std::array<Throttle, 4> throttles = {
      {{io.throttle_read_bps, "blkio.throttle.read_bps_device", "blockIO.throttleReadBpsDevice"},
       {io.throttle_write_bps, "blkio.throttle.write_bps_device", "blockIO.throttleWriteBpsDevice"},
       {io.throttle_read_iops, "blkio.throttle.read_iops_device", "blockIO.throttleReadIOPSDevice"},
       {io.throttle_write_iops, "blkio.throttle.write_iops_device",
        "blockIO.throttleWriteIOPSDevice"}}};
  for (const Throttle& throttle : throttles) {
    for (const ThrottleDevice& device : throttle.devices) {
      GANTRY_RETURN_IF_ERROR(Set(dirs, "blkio", throttle.file, throttle.field,
                                 absl::StrCat(device.major, ":", device.minor, " ", device.rate)));
    }
  }
  return absl::OkStatus();
}

std::string RuleText(const DeviceRule& rule) {
  if (rule.type == "a") return "a";
  const auto number = [](const std::optional<int64_t>& value) {
    return value.has_value() && *value >= 0 ? absl::StrCat(*value) : std::string("*");
  };
  return absl::StrCat(rule.type, " ", number(rule.major), ":", number(rule.minor), " ",
                      rule.access.empty() ? "rwm" : rule.access);
}

// What every container may use whatever its spec says, since the runtime itself makes them in /dev;
// mknod of any device is allowed as runc allows it, opening it is not.
constexpr std::array<const char*, 12> kAlwaysAllowed = {
    "c *:* m",   "b *:* m",   "c 1:3 rwm", "c 1:8 rwm",   "c 1:7 rwm", "c 5:0 rwm",
    "c 1:5 rwm", "c 1:9 rwm", "c 5:1 rwm", "c 136:* rwm", "c 5:2 rwm", "c 10:200 rwm"};

absl::Status SetDevices(const CgroupDirs& dirs, const std::vector<DeviceRule>& rules) {
  if (rules.empty()) return absl::OkStatus();
  const CgroupDir* const dir = dirs.Find("devices");
  if (dir == nullptr)
    return absl::UnimplementedError("linux.resources.devices: this host has no devices controller");
  bool all_allowed = false;
  for (size_t i = 0; i < rules.size(); ++i) {
    const DeviceRule& rule = rules[i];
    const absl::Status status =
        dir->Write(rule.allow ? "devices.allow" : "devices.deny", RuleText(rule));
    if (!status.ok()) {
      return WithCode(
          Annotate(status, absl::StrCat("linux.resources.devices[", i, "]")),
          ErrnoOf(status) == EINVAL ? absl::StatusCode::kInvalidArgument : status.code());
    }
    if (rule.type == "a") all_allowed = rule.allow;
  }
  if (all_allowed) return absl::OkStatus();
  for (const char* const allowed : kAlwaysAllowed) {
    GANTRY_RETURN_IF_ERROR(dir->Write("devices.allow", allowed));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyResourcesV1(const CgroupDirs& dirs, const LinuxResources& resources) {
  GANTRY_RETURN_IF_ERROR(SetDevices(dirs, resources.devices));
  if (resources.memory.has_value()) GANTRY_RETURN_IF_ERROR(SetMemory(dirs, *resources.memory));
  if (resources.cpu.has_value()) GANTRY_RETURN_IF_ERROR(SetCpu(dirs, *resources.cpu));
  if (resources.pids.has_value() && resources.pids->limit != 0) {
    const std::string limit =
        resources.pids->limit > 0 ? absl::StrCat(resources.pids->limit) : "max";
    GANTRY_RETURN_IF_ERROR(Set(dirs, "pids", "pids.max", "pids.limit", limit));
  }
  if (resources.block_io.has_value()) GANTRY_RETURN_IF_ERROR(SetBlockIo(dirs, *resources.block_io));
  for (const HugepageLimit& limit : resources.hugepage_limits) {
    const std::string file = absl::StrCat("hugetlb.", limit.page_size, ".limit_in_bytes");
    GANTRY_RETURN_IF_ERROR(Set(dirs, "hugetlb", file.c_str(),
                               absl::StrCat("hugepageLimits[", limit.page_size, "]"),
                               absl::StrCat(limit.limit)));
  }
  if (resources.network.has_value()) {
    if (resources.network->class_id.value_or(0) != 0) {
      GANTRY_RETURN_IF_ERROR(SetIf(dirs, "net_cls", "net_cls.classid", "network.classID",
                                   resources.network->class_id));
    }
    for (const InterfacePriority& one : resources.network->priorities) {
      GANTRY_RETURN_IF_ERROR(Set(dirs, "net_prio", "net_prio.ifpriomap", "network.priorities",
                                 absl::StrCat(one.name, " ", one.priority)));
    }
  }
  if (!resources.unified.empty()) {
    return absl::InvalidArgumentError(
        "linux.resources.unified: this host does not have cgroup v2 alone");
  }
  return absl::OkStatus();
}

}  // namespace gantry::runtime
