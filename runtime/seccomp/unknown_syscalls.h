#ifndef GANTRY_RUNTIME_SECCOMP_UNKNOWN_SYSCALLS_H_
#define GANTRY_RUNTIME_SECCOMP_UNKNOWN_SYSCALLS_H_

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "runtime/spec/seccomp.h"

namespace gantry::runtime {

// Instructions to put before a compiled filter, which answer ENOSYS to calls that are newer than
// any in the profile. A profile that denies by default cannot know them, and its EPERM would keep
// the C library from falling back to the older call (fchmodat2, clone3): runc does the same
// since 1.0.
//
// Empty if the default action lets calls through (ALLOW, LOG, TRACE), or if the profile asks for
// ENOSYS itself. `default_action` is libseccomp's. Falls through with no register in use.
std::vector<sock_filter> UnknownSyscallPrologue(const LinuxSeccomp& profile,
                                                uint32_t default_action);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SECCOMP_UNKNOWN_SYSCALLS_H_
