#include "runtime/cgroup/resources_v2.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"

namespace gantry::runtime {
namespace {

absl::Status Refuse(absl::string_view field, int64_t value, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("linux.resources.", field, " = ", value, ": ", why));
}

absl::Status NoEquivalent(absl::string_view field) {
  return absl::UnimplementedError(
      absl::StrCat("linux.resources.", field, ": cgroup v2 has no equivalent of it"));
}

std::string MaxOr(int64_t value) { return value < 0 ? "max" : absl::StrCat(value); }

// The number a file holds now; absent for "max" and for a file that is not there.
std::optional<int64_t> NumberNow(const ReadCgroupFile& read, const char* file) {
  const absl::StatusOr<std::string> text = read(file);
  int64_t number = 0;
  if (!text.ok() || !absl::SimpleAtoi(absl::StripAsciiWhitespace(*text), &number)) {
    return std::nullopt;
  }
  return number;
}

using Writes = std::vector<FileWrite>;

absl::Status PlanMemory(const LinuxMemory& memory, const ReadCgroupFile& read, Writes* writes) {
  if (memory.kernel_tcp.value_or(0) > 0) return NoEquivalent("memory.kernelTCP");
  if (memory.swappiness.has_value()) return NoEquivalent("memory.swappiness");
  if (memory.disable_oom_killer.value_or(false)) return NoEquivalent("memory.disableOOMKiller");
  // memory.kernel has no effect on any kernel that gantry runs on, as in v1.
  const int64_t limit = memory.limit.value_or(0);
  if (memory.check_before_update && limit > 0) {
    const int64_t usage = NumberNow(read, "memory.current").value_or(0);
    if (usage > limit) {
      return Refuse("memory.limit", limit, absl::StrCat("below the usage of ", usage, " bytes"));
    }
  }
  // An update may give memory and swap together alone.
  const int64_t swap = memory.swap.value_or(0);
  const int64_t base = limit == 0 && swap > 0 ? NumberNow(read, "memory.max").value_or(-1) : limit;
  GANTRY_ASSIGN_OR_RETURN(const std::optional<int64_t> swap_max, SwapMax(base, swap));
  if (swap_max.has_value()) {
    // Without swap accounting there is no swap to use: no limit and no swap hold by themselves.
    writes->push_back({"memory.swap.max", MaxOr(*swap_max), "memory.swap", *swap_max <= 0});
  }
  if (limit != 0) writes->push_back({"memory.max", MaxOr(limit), "memory.limit"});
  if (const int64_t low = memory.reservation.value_or(0); low != 0) {
    writes->push_back({"memory.low", MaxOr(low), "memory.reservation"});
  }
  return absl::OkStatus();
}

void PlanBandwidth(const LinuxCpu& cpu, const ReadCgroupFile& read, Writes* writes) {
  const uint64_t period = cpu.period.value_or(0);
  const int64_t quota = cpu.quota.value_or(0);
  Writes max;
  if (period != 0 || quota != 0) {
    std::string value = MaxOr(quota);
    if (quota == 0) {
      const absl::StatusOr<std::string> now = read("cpu.max");
      const std::vector<std::string> words =
          absl::StrSplit(now.ok() ? *now : "max", absl::ByAnyChar(" \n"));
      value = words[0];
    }
    // The kernel keeps the period if it is not given.
    if (period != 0) absl::StrAppend(&value, " ", period);
    max.push_back({"cpu.max", value, quota != 0 ? "cpu.quota" : "cpu.period"});
  }
  if (!cpu.burst.has_value()) {
    writes->insert(writes->end(), max.begin(), max.end());
    return;
  }
  // The kernel holds burst <= quota at every moment.
  const FileWrite burst{"cpu.max.burst", absl::StrCat(*cpu.burst), "cpu.burst"};
  const int64_t burst_now = NumberNow(read, "cpu.max.burst").value_or(0);
  const bool burst_first = *cpu.burst <= static_cast<uint64_t>(burst_now);
  if (burst_first) writes->push_back(burst);
  writes->insert(writes->end(), max.begin(), max.end());
  if (!burst_first) writes->push_back(burst);
}

absl::Status PlanCpu(const LinuxCpu& cpu, const ReadCgroupFile& read, Writes* writes) {
  if (cpu.realtime_period.value_or(0) != 0) return NoEquivalent("cpu.realtimePeriod");
  if (cpu.realtime_runtime.value_or(0) != 0) return NoEquivalent("cpu.realtimeRuntime");
  const auto plan_idle = [&] {
    if (cpu.idle.has_value()) writes->push_back({"cpu.idle", absl::StrCat(*cpu.idle), "cpu.idle"});
  };
  // A group that is idle has no weight: it gets one after it was woken.
  if (cpu.idle == 0) plan_idle();
  if (const uint64_t shares = cpu.shares.value_or(0); shares != 0) {
    GANTRY_ASSIGN_OR_RETURN(const uint64_t weight, CpuWeight(shares));
    writes->push_back({"cpu.weight", absl::StrCat(weight), "cpu.shares"});
  }
  if (cpu.idle != 0) plan_idle();
  PlanBandwidth(cpu, read, writes);
  if (!cpu.cpus.empty()) writes->push_back({"cpuset.cpus", cpu.cpus, "cpu.cpus"});
  if (!cpu.mems.empty()) writes->push_back({"cpuset.mems", cpu.mems, "cpu.mems"});
  return absl::OkStatus();
}

absl::Status PlanBlockIo(const LinuxBlockIo& io, const ReadCgroupFile& read, Writes* writes) {
  if (io.leaf_weight.value_or(0) != 0) return NoEquivalent("blockIO.leafWeight");
  const bool weights = io.weight.value_or(0) != 0 || !io.weight_device.empty();
  // bfq takes the spec's numbers; the cost model of io.weight has another range.
  const bool bfq = weights && read("io.bfq.weight").ok();
  const char* const file = bfq ? "io.bfq.weight" : "io.weight";
  const auto converted = [&](uint64_t weight) -> absl::StatusOr<uint64_t> {
    if (bfq) return weight;
    return IoWeight(weight);
  };
  if (const uint64_t weight = io.weight.value_or(0); weight != 0) {
    GANTRY_ASSIGN_OR_RETURN(const uint64_t value, converted(weight));
    writes->push_back({file, absl::StrCat(value), "blockIO.weight"});
  }
  for (const WeightDevice& device : io.weight_device) {
    if (device.leaf_weight.value_or(0) != 0) {
      return NoEquivalent("blockIO.weightDevice.leafWeight");
    }
    if (device.weight.value_or(0) == 0) continue;
    GANTRY_ASSIGN_OR_RETURN(const uint64_t value, converted(*device.weight));
    writes->push_back({file, absl::StrCat(device.major, ":", device.minor, " ", value),
                       "blockIO.weightDevice.weight"});
  }
  struct Throttle {
    const std::vector<ThrottleDevice>& devices;
    const char* key;
    const char* field;
  };
  const std::array<Throttle, 4> throttles = {
      {{io.throttle_read_bps, "rbps", "blockIO.throttleReadBpsDevice"},
       {io.throttle_write_bps, "wbps", "blockIO.throttleWriteBpsDevice"},
       {io.throttle_read_iops, "riops", "blockIO.throttleReadIOPSDevice"},
       {io.throttle_write_iops, "wiops", "blockIO.throttleWriteIOPSDevice"}}};
  for (const Throttle& throttle : throttles) {
    for (const ThrottleDevice& device : throttle.devices) {
      // 0 lifts the limit in v1.
      const std::string rate = device.rate == 0 ? "max" : absl::StrCat(device.rate);
      writes->push_back(
          {"io.max", absl::StrCat(device.major, ":", device.minor, " ", throttle.key, "=", rate),
           throttle.field});
    }
  }
  return absl::OkStatus();
}

absl::Status PlanNetwork(const LinuxNetwork& network) {
  if (network.class_id.value_or(0) != 0) return NoEquivalent("network.classID");
  if (!network.priorities.empty()) return NoEquivalent("network.priorities");
  return absl::OkStatus();
}

void PlanRdma(const std::map<std::string, RdmaLimit>& limits, Writes* writes) {
  for (const auto& [device, limit] : limits) {
    std::string text = device;
    if (limit.hca_handles.has_value()) absl::StrAppend(&text, " hca_handle=", *limit.hca_handles);
    if (limit.hca_objects.has_value()) absl::StrAppend(&text, " hca_object=", *limit.hca_objects);
    writes->push_back({"rdma.max", text, absl::StrCat("rdma.", device)});
  }
}

// A limit of the container's own cgroup. The files of the core would move processes of the host in,
// or take from the runtime what it relies on.
bool IsLimitFile(const std::string& file) {
  const size_t dot = file.find('.');
  if (dot == 0 || dot == std::string::npos) return false;
  const bool plain = std::all_of(file.begin(), file.end(), [](char letter) {
    return absl::ascii_isalnum(static_cast<unsigned char>(letter)) || letter == '.' ||
           letter == '_' || letter == '-';
  });
  return plain && (!absl::StartsWith(file, "cgroup.") || absl::StartsWith(file, "cgroup.max."));
}

absl::Status PlanUnified(const std::map<std::string, std::string>& unified, Writes* writes) {
  for (const auto& [file, value] : unified) {
    const std::string field = absl::StrCat("unified.", file);
    if (!IsLimitFile(file)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "linux.resources.", field, ": is not a file of a controller that a container may set"));
    }
    // Files with a line for each device take one line at a time.
    for (const absl::string_view line : absl::StrSplit(value, '\n', absl::SkipEmpty())) {
      writes->push_back({file, std::string(line), field});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<uint64_t> CpuWeight(uint64_t shares) {
  constexpr uint64_t kLeast = 2;
  constexpr uint64_t kMost = 262144;
  if (shares < kLeast || shares > kMost) {
    return absl::InvalidArgumentError(absl::StrCat(
        "linux.resources.cpu.shares = ", shares, ": the ", shares < kLeast ? "least" : "most",
        " allowed is ", shares < kLeast ? kLeast : kMost));
  }
  return 1 + (shares - kLeast) * 9999 / (kMost - kLeast);
}

absl::StatusOr<uint64_t> IoWeight(uint64_t weight) {
  constexpr uint64_t kLeast = 10;
  constexpr uint64_t kMost = 1000;
  if (weight < kLeast || weight > kMost) {
    return absl::InvalidArgumentError(absl::StrCat("linux.resources.blockIO.weight = ", weight,
                                                   ": must be from ", kLeast, " to ", kMost));
  }
  return 1 + (weight - kLeast) * 9999 / (kMost - kLeast);
}

absl::StatusOr<std::optional<int64_t>> SwapMax(int64_t limit, int64_t swap) {
  if (swap == 0) {
    // As in v1, memory without a limit lifts that of swap as well.
    return limit == -1 ? std::optional<int64_t>(-1) : std::nullopt;
  }
  if (swap < 0) return std::optional<int64_t>(-1);
  if (limit <= 0) return Refuse("memory.swap", swap, "needs a limit of memory too");
  if (swap < limit) {
    return Refuse(
        "memory.swap", swap,
        absl::StrCat("counts memory and swap together: below the memory limit of ", limit));
  }
  return std::optional<int64_t>(swap - limit);
}

absl::StatusOr<std::vector<FileWrite>> PlanResourcesV2(const LinuxResources& resources,
                                                       const ReadCgroupFile& read) {
  Writes writes;
  if (resources.memory.has_value()) {
    GANTRY_RETURN_IF_ERROR(PlanMemory(*resources.memory, read, &writes));
  }
  if (resources.cpu.has_value()) GANTRY_RETURN_IF_ERROR(PlanCpu(*resources.cpu, read, &writes));
  if (resources.pids.has_value() && resources.pids->limit != 0) {
    writes.push_back({"pids.max", MaxOr(resources.pids->limit), "pids.limit"});
  }
  if (resources.block_io.has_value()) {
    GANTRY_RETURN_IF_ERROR(PlanBlockIo(*resources.block_io, read, &writes));
  }
  for (const HugepageLimit& limit : resources.hugepage_limits) {
    const std::string field = absl::StrCat("hugepageLimits[", limit.page_size, "]");
    const std::string prefix = absl::StrCat("hugetlb.", limit.page_size);
    writes.push_back({prefix + ".max", absl::StrCat(limit.limit), field});
    // Reservations count apart (since 5.7) and would let a mapping pass the limit until it is
    // touched.
    writes.push_back({prefix + ".rsvd.max", absl::StrCat(limit.limit), field, true});
  }
  if (resources.network.has_value()) GANTRY_RETURN_IF_ERROR(PlanNetwork(*resources.network));
  PlanRdma(resources.rdma, &writes);
  GANTRY_RETURN_IF_ERROR(PlanUnified(resources.unified, &writes));
  return writes;
}

}  // namespace gantry::runtime
