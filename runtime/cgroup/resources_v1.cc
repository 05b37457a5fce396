#include <fcntl.h>

#include <array>
#include <map>

#include "absl/strings/numbers.h"
#include "base/errors.h"
#include "base/file.h"
#include "runtime/cgroup/cgroup_v1.h"
#include "runtime/cgroup/device_policy.h"

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

constexpr char kSwapFile[] = "memory.memsw.limit_in_bytes";

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
  // 0 is how clients write "not set".
  const auto given = [](const std::optional<int64_t>& value) {
    return value.value_or(0) != 0 ? value : std::nullopt;
  };
  const std::optional<int64_t> limit = given(memory.limit);
  std::optional<int64_t> swap = given(memory.swap);
  // Memory without a limit below memory and swap with one is refused.
  if (limit == -1 && !swap.has_value()) {
    const CgroupDir* const dir = dirs.Find("memory");
    if (dir != nullptr && dir->Has(kSwapFile)) swap = -1;
  }
  // The kernel holds memory <= memory+swap at every moment, so which goes first depends on where
  // both are.
  bool swap_first = false;
  if (limit.has_value() && swap.has_value()) {
    const CgroupDir* const dir = dirs.Find("memory");
    const absl::StatusOr<uint64_t> now =
        dir != nullptr ? dir->ReadNumber(kSwapFile) : absl::StatusOr<uint64_t>(0);
    swap_first = *swap == -1 || (now.ok() && *now < static_cast<uint64_t>(*limit));
  }
  const auto set_swap = [&] { return SetIf(dirs, "memory", kSwapFile, "memory.swap", swap); };
  if (swap_first) GANTRY_RETURN_IF_ERROR(set_swap());
  GANTRY_RETURN_IF_ERROR(SetIf(dirs, "memory", "memory.limit_in_bytes", "memory.limit", limit));
  if (!swap_first) GANTRY_RETURN_IF_ERROR(set_swap());
  GANTRY_RETURN_IF_ERROR(SetIf(dirs, "memory", "memory.soft_limit_in_bytes", "memory.reservation",
                               given(memory.reservation)));
  // memory.kmem.limit_in_bytes has had no effect since 5.16; runc ignores the field as well.
  GANTRY_RETURN_IF_ERROR(SetIf(dirs, "memory", "memory.kmem.tcp.limit_in_bytes", "memory.kernelTCP",
                               given(memory.kernel_tcp)));
  GANTRY_RETURN_IF_ERROR(
      SetIf(dirs, "memory", "memory.swappiness", "memory.swappiness", memory.swappiness));
  if (memory.disable_oom_killer.value_or(false)) {
    return Set(dirs, "memory", "memory.oom_control", "memory.disableOOMKiller", "1");
  }
  return absl::OkStatus();
}

// The kernel clamps shares in silence; a client that asked for more should hear of it.
absl::Status SetShares(const CgroupDirs& dirs, uint64_t shares) {
  GANTRY_RETURN_IF_ERROR(Set(dirs, "cpu", "cpu.shares", "cpu.shares", absl::StrCat(shares)));
  GANTRY_ASSIGN_OR_RETURN(const uint64_t now, dirs.Find("cpu")->ReadNumber("cpu.shares"));
  if (now == shares) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("linux.resources.cpu.shares = ", shares, ": the ",
                                                 now < shares ? "most" : "least", " allowed is ",
                                                 now));
}

// quota/period may not pass the parent's, and burst may not pass quota: a period or a burst that is
// refused beside the old quota is tried again after the new one.
absl::Status SetBandwidth(const CgroupDirs& dirs, const LinuxCpu& cpu) {
  const std::optional<uint64_t> period = cpu.period.value_or(0) != 0 ? cpu.period : std::nullopt;
  const std::optional<int64_t> quota = cpu.quota.value_or(0) != 0 ? cpu.quota : std::nullopt;
  const auto set_period = [&] {
    return SetIf(dirs, "cpu", "cpu.cfs_period_us", "cpu.period", period);
  };
  const auto set_burst = [&] {
    return SetIf(dirs, "cpu", "cpu.cfs_burst_us", "cpu.burst", cpu.burst);
  };
  const absl::Status first_period = set_period();
  const bool period_later = ErrnoOf(first_period) == EINVAL && quota.has_value();
  if (!period_later) GANTRY_RETURN_IF_ERROR(first_period);
  const absl::Status first_burst = set_burst();
  const bool burst_later = ErrnoOf(first_burst) == EINVAL && quota.has_value();
  if (!burst_later) GANTRY_RETURN_IF_ERROR(first_burst);
  GANTRY_RETURN_IF_ERROR(SetIf(dirs, "cpu", "cpu.cfs_quota_us", "cpu.quota", quota));
  if (period_later) GANTRY_RETURN_IF_ERROR(set_period());
  return burst_later ? set_burst() : absl::OkStatus();
}

absl::Status SetCpu(const CgroupDirs& dirs, const LinuxCpu& cpu) {
  if (cpu.shares.value_or(0) != 0) GANTRY_RETURN_IF_ERROR(SetShares(dirs, *cpu.shares));
  GANTRY_RETURN_IF_ERROR(SetBandwidth(dirs, cpu));
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
  // The file's name depends on the scheduler: cfq's was blkio.weight, bfq's has its own.
  const CgroupDir* const dir = dirs.Find("blkio");
  const bool bfq = dir != nullptr && !dir->Has("blkio.weight") && dir->Has("blkio.bfq.weight");
  if (io.weight.value_or(0) != 0) {
    GANTRY_RETURN_IF_ERROR(SetIf(dirs, "blkio", bfq ? "blkio.bfq.weight" : "blkio.weight",
                                 "blockIO.weight", io.weight));
  }
  if (io.leaf_weight.value_or(0) != 0) {
    GANTRY_RETURN_IF_ERROR(
        SetIf(dirs, "blkio", "blkio.leaf_weight", "blockIO.leafWeight", io.leaf_weight));
  }
  const auto set_device = [&](const WeightDevice& device, const char* file, const char* field,
                              const std::optional<uint64_t>& weight) {
    if (!weight.has_value()) return absl::OkStatus();
    return Set(dirs, "blkio", file, field,
               absl::StrCat(device.major, ":", device.minor, " ", *weight));
  };
  for (const WeightDevice& device : io.weight_device) {
    GANTRY_RETURN_IF_ERROR(set_device(device,
                                      bfq ? "blkio.bfq.weight_device" : "blkio.weight_device",
                                      "blockIO.weightDevice.weight", device.weight));
    GANTRY_RETURN_IF_ERROR(set_device(device, "blkio.leaf_weight_device",
                                      "blockIO.weightDevice.leafWeight", device.leaf_weight));
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

bool Holds(const std::vector<DeviceRule>& rules, const DeviceRule& rule) {
  const std::string text = DeviceRuleText(rule);
  return std::any_of(rules.begin(), rules.end(),
                     [&](const DeviceRule& one) { return DeviceRuleText(one) == text; });
}

absl::Status SetDevices(const CgroupDirs& dirs, const std::vector<DeviceRule>& rules,
                        CgroupAge age) {
  if (rules.empty() && age == CgroupAge::kExisting) return absl::OkStatus();
  const CgroupDir* const dir = dirs.Find("devices");
  if (dir == nullptr) {
    return absl::UnimplementedError("linux.resources.devices: this host has no devices controller");
  }
  GANTRY_ASSIGN_OR_RETURN(const DevicePolicy policy, BuildDevicePolicy(rules));
  DevicePolicy now;
  if (age == CgroupAge::kExisting) {
    GANTRY_ASSIGN_OR_RETURN(const std::string list, dir->Read("devices.list"));
    now = ParseDevicesList(list);
  }
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd allow, OpenFileAt(dir->fd(), "devices.allow", O_WRONLY));
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd deny, OpenFileAt(dir->fd(), "devices.deny", O_WRONLY));
  const auto write = [&](bool allowed, const std::string& text) -> absl::Status {
    const absl::string_view verb = allowed ? "allow" : "deny";
    return WriteAll(allowed ? allow.get() : deny.get(), text,
                    absl::StrCat("linux.resources.devices: ", verb, " \"", text, "\""));
  };
  // A container that runs is never without what it keeps: then only the difference is written.
  const bool afresh = age == CgroupAge::kNew || now.allow_by_default || policy.allow_by_default;
  if (afresh) GANTRY_RETURN_IF_ERROR(write(policy.allow_by_default, "a"));
  for (const DeviceRule& rule : policy.exceptions) {
    if (!afresh && Holds(now.exceptions, rule)) continue;
    GANTRY_RETURN_IF_ERROR(write(rule.allow, DeviceRuleText(rule)));
  }
  if (afresh) return absl::OkStatus();
  for (DeviceRule rule : now.exceptions) {
    // The kernel keeps one entry for each device: only the letters that are gone are denied.
    for (const DeviceRule& kept : policy.exceptions) {
      if (kept.type != rule.type || kept.major != rule.major || kept.minor != rule.minor) continue;
      std::string gone;
      for (const char letter : rule.access) {
        if (kept.access.find(letter) == std::string::npos) gone += letter;
      }
      rule.access = gone;
      if (gone.empty()) break;
    }
    if (!rule.access.empty()) GANTRY_RETURN_IF_ERROR(write(false, DeviceRuleText(rule)));
  }
  return absl::OkStatus();
}

absl::Status SetRdma(const CgroupDirs& dirs, const std::map<std::string, RdmaLimit>& limits) {
  for (const auto& [device, limit] : limits) {
    std::string text = device;
    if (limit.hca_handles.has_value()) absl::StrAppend(&text, " hca_handle=", *limit.hca_handles);
    if (limit.hca_objects.has_value()) absl::StrAppend(&text, " hca_object=", *limit.hca_objects);
    GANTRY_RETURN_IF_ERROR(Set(dirs, "rdma", "rdma.max", absl::StrCat("rdma.", device), text));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ApplyResourcesV1(const CgroupDirs& dirs, const LinuxResources& resources,
                              CgroupAge age) {
  // Before anything is written: an update that cannot be had changes nothing.
  if (!resources.unified.empty()) {
    return absl::InvalidArgumentError(
        "linux.resources.unified: this host has cgroup v1 hierarchies, the field is for v2 alone");
  }
  GANTRY_RETURN_IF_ERROR(SetDevices(dirs, resources.devices, age));
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
  return SetRdma(dirs, resources.rdma);
}

}  // namespace gantry::runtime
