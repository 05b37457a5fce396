#ifndef GANTRY_RUNTIME_SPEC_SECCOMP_H_
#define GANTRY_RUNTIME_SPEC_SECCOMP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/json.h"

namespace gantry::runtime {

// The spec's `linux.seccomp`, with names as they are written there ("SCMP_ACT_ERRNO"); the compiler
// (runtime/seccomp) judges them. Source: OCI runtime-spec 1.2, config-linux.md, "Seccomp".

struct SeccompArg {
  uint32_t index = 0;
  uint64_t value = 0;
  uint64_t value_two = 0;
  std::string op;

  bool operator==(const SeccompArg&) const = default;
};

struct SeccompSyscall {
  std::vector<std::string> names;
  std::string action;
  std::optional<uint32_t> errno_ret;
  std::vector<SeccompArg> args;

  bool operator==(const SeccompSyscall&) const = default;
};

struct LinuxSeccomp {
  std::string default_action;
  std::optional<uint32_t> default_errno_ret;
  std::vector<std::string> architectures;
  // Absent differs from empty: absent leaves the choice of the defaults to the runtime.
  std::optional<std::vector<std::string>> flags;
  std::string listener_path;
  std::string listener_metadata;
  std::vector<SeccompSyscall> syscalls;

  bool operator==(const LinuxSeccomp&) const = default;
};

// Unknown fields are ignored; null is an absent field.
// Errors: InvalidArgument that begins with the JSON path below `path`:
// "linux.seccomp.syscalls[3].names: expected an array, got a number".
absl::StatusOr<LinuxSeccomp> SeccompFromJson(const Json& json,
                                             absl::string_view path = "linux.seccomp");

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SPEC_SECCOMP_H_
