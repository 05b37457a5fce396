#ifndef GANTRY_RUNTIME_CGROUP_DEVICE_POLICY_H_
#define GANTRY_RUNTIME_CGROUP_DEVICE_POLICY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/spec/resources.h"

namespace gantry::runtime {

// What a list of device rules comes to: a default and the exceptions from it, which is how cgroup
// v1 keeps it and what the v2 program decides by. An exception has type "c" or "b", and letters in
// `access`; no two have the same device.
struct DevicePolicy {
  bool allow_by_default = false;
  // Rules with `allow` == !allow_by_default.
  std::vector<DeviceRule> exceptions;
};

// Begins with everything denied, takes the rules in their order (the later wins) and then, unless
// everything is allowed, the devices that every container has: mknod of anything, null, zero, full,
// random, urandom, tty, ptmx, pts and tun, as runc 1.1 does.
// Errors: InvalidArgument naming the rule that would take a single device out of an exception with
// a wildcard, which a cgroup cannot express.
absl::StatusOr<DevicePolicy> BuildDevicePolicy(const std::vector<DeviceRule>& rules);

// "c 1:3 rwm", "b *:* m".
std::string DeviceRuleText(const DeviceRule& rule);

// devices.list of cgroup v1. An "a" line is a policy that allows by default (and whose exceptions
// the kernel does not show).
DevicePolicy ParseDevicesList(absl::string_view text);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_DEVICE_POLICY_H_
