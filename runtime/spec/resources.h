#ifndef GANTRY_RUNTIME_SPEC_RESOURCES_H_
#define GANTRY_RUNTIME_SPEC_RESOURCES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/json.h"

namespace gantry::runtime {

// The limits of one container. A field that is absent is left alone. Memory in bytes, cpu times in
// microseconds, throttle rates per second; -1 means unlimited where the type is signed.
// Source: OCI runtime-spec 1.2, config-linux.md, "Control groups".

struct DeviceRule {
  bool allow = false;
  // "a" (all), "c" or "b"; never empty.
  std::string type = "a";
  // Absent is every number.
  std::optional<int64_t> major;
  std::optional<int64_t> minor;
  // Of "rwm"; empty is all three.
  std::string access;

  bool operator==(const DeviceRule&) const = default;
};

struct LinuxMemory {
  std::optional<int64_t> limit;
  std::optional<int64_t> reservation;
  // Memory and swap together, as cgroup v1 counts.
  std::optional<int64_t> swap;
  std::optional<int64_t> kernel;
  std::optional<int64_t> kernel_tcp;
  std::optional<uint64_t> swappiness;
  std::optional<bool> disable_oom_killer;
  // Refuses a limit below the usage at that moment.
  bool check_before_update = false;
};

struct LinuxCpu {
  std::optional<uint64_t> shares;
  std::optional<int64_t> quota;
  std::optional<uint64_t> burst;
  std::optional<uint64_t> period;
  std::optional<int64_t> realtime_runtime;
  std::optional<uint64_t> realtime_period;
  std::string cpus;
  std::string mems;
  std::optional<int64_t> idle;
};

struct LinuxPids {
  int64_t limit = 0;
};

struct WeightDevice {
  int64_t major = 0;
  int64_t minor = 0;
  std::optional<uint64_t> weight;
  std::optional<uint64_t> leaf_weight;
};

struct ThrottleDevice {
  int64_t major = 0;
  int64_t minor = 0;
  uint64_t rate = 0;
};

struct LinuxBlockIo {
  std::optional<uint64_t> weight;
  std::optional<uint64_t> leaf_weight;
  std::vector<WeightDevice> weight_device;
  std::vector<ThrottleDevice> throttle_read_bps;
  std::vector<ThrottleDevice> throttle_write_bps;
  std::vector<ThrottleDevice> throttle_read_iops;
  std::vector<ThrottleDevice> throttle_write_iops;
};

struct HugepageLimit {
  // "2MB", "1GB", as the kernel names its files.
  std::string page_size;
  uint64_t limit = 0;
};

struct InterfacePriority {
  std::string name;
  uint32_t priority = 0;
};

struct LinuxNetwork {
  std::optional<uint32_t> class_id;
  std::vector<InterfacePriority> priorities;
};

struct RdmaLimit {
  std::optional<uint32_t> hca_handles;
  std::optional<uint32_t> hca_objects;
};

struct LinuxResources {
  // In the order of the spec: a later rule wins.
  std::vector<DeviceRule> devices;
  std::optional<LinuxMemory> memory;
  std::optional<LinuxCpu> cpu;
  std::optional<LinuxPids> pids;
  std::optional<LinuxBlockIo> block_io;
  std::vector<HugepageLimit> hugepage_limits;
  std::optional<LinuxNetwork> network;
  std::map<std::string, RdmaLimit> rdma;
  // Files of a cgroup v2 and what to write into them.
  std::map<std::string, std::string> unified;
};

// Reads the spec's `linux.resources` object. Unknown fields are ignored; null is an absent field.
// Errors: InvalidArgument that begins with the JSON path below `path`:
// "linux.resources.memory.limit: expected an integer, got a string".
absl::StatusOr<LinuxResources> ResourcesFromJson(const Json& json,
                                                 absl::string_view path = "linux.resources");

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SPEC_RESOURCES_H_
