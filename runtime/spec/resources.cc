#include "runtime/spec/resources.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/spec/json_fields.h"

namespace gantry::runtime {
namespace {

template <typename T>
absl::StatusOr<T> Done(const JsonFields& fields, T value) {
  if (!fields.ok()) return fields.status();
  return value;
}

absl::StatusOr<DeviceRule> ParseDevice(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  DeviceRule rule;
  fields.Read("allow", &rule.allow);
  fields.Read("type", &rule.type);
  fields.Read("major", &rule.major);
  fields.Read("minor", &rule.minor);
  fields.Read("access", &rule.access);
  // "u" is an older name of "c"; "p" (a fifo) is no device that a cgroup could deny.
  if (rule.type.empty()) rule.type = "a";
  if (rule.type == "u") rule.type = "c";
  if (rule.type != "a" && rule.type != "b" && rule.type != "c") {
    fields.FailField("type", absl::StrCat("unknown device type \"", rule.type, "\""));
  }
  if (rule.access.find_first_not_of("rwm") != std::string::npos) {
    fields.FailField("access", absl::StrCat("\"", rule.access, "\" has letters beyond r, w and m"));
  }
  // Written as -1 by some clients.
  if (rule.major == -1) rule.major.reset();
  if (rule.minor == -1) rule.minor.reset();
  if (rule.major.value_or(0) < 0)
    fields.FailField("major", absl::StrCat(*rule.major, " is negative"));
  if (rule.minor.value_or(0) < 0)
    fields.FailField("minor", absl::StrCat(*rule.minor, " is negative"));
  return Done(fields, std::move(rule));
}

absl::StatusOr<LinuxMemory> ParseMemory(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  LinuxMemory memory;
  fields.Read("limit", &memory.limit);
  fields.Read("reservation", &memory.reservation);
  fields.Read("swap", &memory.swap);
  fields.Read("kernel", &memory.kernel);
  fields.Read("kernelTCP", &memory.kernel_tcp);
  fields.Read("swappiness", &memory.swappiness);
  fields.Read("disableOOMKiller", &memory.disable_oom_killer);
  fields.Read("checkBeforeUpdate", &memory.check_before_update);
  return Done(fields, memory);
}

absl::StatusOr<LinuxCpu> ParseCpu(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  LinuxCpu cpu;
  fields.Read("shares", &cpu.shares);
  fields.Read("quota", &cpu.quota);
  fields.Read("burst", &cpu.burst);
  fields.Read("period", &cpu.period);
  fields.Read("realtimeRuntime", &cpu.realtime_runtime);
  fields.Read("realtimePeriod", &cpu.realtime_period);
  fields.Read("cpus", &cpu.cpus);
  fields.Read("mems", &cpu.mems);
  fields.Read("idle", &cpu.idle);
  return Done(fields, std::move(cpu));
}

absl::StatusOr<LinuxPids> ParsePids(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  LinuxPids pids;
  fields.Read("limit", &pids.limit);
  return Done(fields, pids);
}

absl::StatusOr<WeightDevice> ParseWeightDevice(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  WeightDevice device;
  fields.Read("major", &device.major);
  fields.Read("minor", &device.minor);
  fields.Read("weight", &device.weight);
  fields.Read("leafWeight", &device.leaf_weight);
  return Done(fields, device);
}

absl::StatusOr<ThrottleDevice> ParseThrottle(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  ThrottleDevice device;
  fields.Read("major", &device.major);
  fields.Read("minor", &device.minor);
  fields.Read("rate", &device.rate);
  return Done(fields, device);
}

absl::StatusOr<LinuxBlockIo> ParseBlockIo(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  LinuxBlockIo block_io;
  fields.Read("weight", &block_io.weight);
  fields.Read("leafWeight", &block_io.leaf_weight);
  fields.ReadArray("weightDevice", &block_io.weight_device, ParseWeightDevice);
  fields.ReadArray("throttleReadBpsDevice", &block_io.throttle_read_bps, ParseThrottle);
  fields.ReadArray("throttleWriteBpsDevice", &block_io.throttle_write_bps, ParseThrottle);
  fields.ReadArray("throttleReadIOPSDevice", &block_io.throttle_read_iops, ParseThrottle);
  fields.ReadArray("throttleWriteIOPSDevice", &block_io.throttle_write_iops, ParseThrottle);
  return Done(fields, std::move(block_io));
}

absl::StatusOr<HugepageLimit> ParseHugepageLimit(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  HugepageLimit limit;
  fields.Read("pageSize", &limit.page_size);
  fields.Read("limit", &limit.limit);
  // It becomes part of a file name.
  if (limit.page_size.empty() || limit.page_size.find('/') != std::string::npos) {
    fields.FailField("pageSize", absl::StrCat("\"", limit.page_size, "\" is no page size"));
  }
  return Done(fields, std::move(limit));
}

absl::StatusOr<InterfacePriority> ParsePriority(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  InterfacePriority priority;
  fields.Read("name", &priority.name);
  fields.Read("priority", &priority.priority);
  return Done(fields, std::move(priority));
}

absl::StatusOr<LinuxNetwork> ParseNetwork(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  LinuxNetwork network;
  fields.Read("classID", &network.class_id);
  fields.ReadArray("priorities", &network.priorities, ParsePriority);
  return Done(fields, std::move(network));
}

absl::StatusOr<RdmaLimit> ParseRdma(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  RdmaLimit limit;
  fields.Read("hcaHandles", &limit.hca_handles);
  fields.Read("hcaObjects", &limit.hca_objects);
  return Done(fields, limit);
}

void ReadRdma(JsonFields& fields, std::map<std::string, RdmaLimit>* out) {
  const Json* object = fields.FindOf("rdma", Json::value_t::object, "an object");
  if (object == nullptr) return;
  for (const auto& [device, json] : object->items()) {
    absl::StatusOr<RdmaLimit> limit =
        ParseRdma(json, absl::StrCat(fields.path(), ".rdma.", device));
    if (!limit.ok()) return fields.Fail(limit.status());
    out->emplace(device, *limit);
  }
}

void ReadUnified(JsonFields& fields, std::map<std::string, std::string>* out) {
  const Json* object = fields.FindOf("unified", Json::value_t::object, "an object");
  if (object == nullptr) return;
  for (const auto& [file, value] : object->items()) {
    const std::string name = absl::StrCat("unified.", file);
    if (!value.is_string()) return fields.FailField(name, "expected a string");
    // The name is a file of the container's own cgroup and nothing else.
    if (file.empty() || file.find('/') != std::string::npos ||
        file.find('.') == std::string::npos || file.find('\0') != std::string::npos ||
        file.front() == '.') {
      return fields.FailField(name, "is no name of a cgroup file");
    }
    out->emplace(file, value.get<std::string>());
  }
}

}  // namespace

absl::StatusOr<LinuxResources> ResourcesFromJson(const Json& json, absl::string_view path) {
  JsonFields fields(json, path);
  LinuxResources resources;
  fields.ReadArray("devices", &resources.devices, ParseDevice);
  fields.ReadObject("memory", &resources.memory, ParseMemory);
  fields.ReadObject("cpu", &resources.cpu, ParseCpu);
  fields.ReadObject("pids", &resources.pids, ParsePids);
  fields.ReadObject("blockIO", &resources.block_io, ParseBlockIo);
  fields.ReadArray("hugepageLimits", &resources.hugepage_limits, ParseHugepageLimit);
  fields.ReadObject("network", &resources.network, ParseNetwork);
  ReadRdma(fields, &resources.rdma);
  ReadUnified(fields, &resources.unified);
  return Done(fields, std::move(resources));
}

}  // namespace gantry::runtime
