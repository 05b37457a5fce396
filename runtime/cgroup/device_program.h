#ifndef GANTRY_RUNTIME_CGROUP_DEVICE_PROGRAM_H_
#define GANTRY_RUNTIME_CGROUP_DEVICE_PROGRAM_H_

#include <linux/bpf.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "runtime/cgroup/device_policy.h"
#include "runtime/cgroup/directory.h"

namespace gantry::runtime {

// Cgroup v2 has no files for devices: a program decides, each time a device is opened or made.

// The program that decides as the device controller of cgroup v1 does: where everything is denied
// by default, one exception must cover the whole access; where everything is allowed, an exception
// denies each access that it shares a letter with. Straight-line code, a few instructions for each
// exception. Errors: InvalidArgument if there are more exceptions than a program can hold.
// Source: Linux, security/device_cgroup.c and include/uapi/linux/bpf.h (bpf_cgroup_dev_ctx).
absl::StatusOr<std::vector<bpf_insn>> AssembleDeviceProgram(const DevicePolicy& policy);

// Hands the program to the kernel's verifier. Errors: PermissionDenied without CAP_BPF or
// CAP_SYS_ADMIN in the initial user namespace.
absl::StatusOr<UniqueFd> LoadDeviceProgram(const std::vector<bpf_insn>& program);

// Makes `program` the only one of ours on the cgroup; the cgroup keeps it. One that is there is
// replaced in one step, so that a container that runs is never without rules. Those of ancestors
// hold as well, and may have been set by others.
absl::Status AttachDeviceProgram(const CgroupDir& cgroup, const UniqueFd& program, CgroupAge age);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_CGROUP_DEVICE_PROGRAM_H_
