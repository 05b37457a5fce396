#ifndef GANTRY_RUNTIME_SECCOMP_SECCOMP_H_
#define GANTRY_RUNTIME_SECCOMP_SECCOMP_H_

#include <linux/filter.h>

#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/spec/seccomp.h"

namespace gantry::runtime {

// What the child hands to seccomp(2), SECCOMP_SET_MODE_FILTER. Immutable, shared between threads.
struct SeccompProgram {
  std::vector<sock_filter> filter;
  // SECCOMP_FILTER_FLAG_*. NEW_LISTENER is set iff uses_notify.
  unsigned flags = 0;
  // Some rule is SCMP_ACT_NOTIFY: the call gives a listener descriptor for the profile's
  // listener_path.
  bool uses_notify = false;
};

// Compiles one profile with libseccomp. Syscalls that libseccomp does not know are left out, as
// runc does. Errors: InvalidArgument that names an unknown action, architecture, operator or flag,
// or an argument index above 5; Unimplemented for a flag that the kernel does not have.
absl::StatusOr<SeccompProgram> CompileSeccomp(const LinuxSeccomp& profile);

// Compiled programs by the hash of their profile: the last 32 in memory, and all on disk, so that a
// new shim does not compile again what the last one did (3 to 15 ms each). Thread-safe.
class SeccompCache {
 public:
  // `disk_dir` is made when the first program is stored (mode 0700); empty keeps memory alone.
  // Files there are believed only if they belong to this user (root), nobody else may write them
  // and their checksum holds; others are replaced. A directory that cannot be written is no error.
  explicit SeccompCache(std::string disk_dir);

  // Errors: as CompileSeccomp.
  absl::StatusOr<std::shared_ptr<const SeccompProgram>> Compile(const LinuxSeccomp& profile);

 private:
  std::shared_ptr<const SeccompProgram> Remember(const std::string& key, SeccompProgram program);

  const std::string disk_dir_;
  std::mutex mutex_;
  // Guarded by mutex_; the most recently used first.
  std::list<std::pair<std::string, std::shared_ptr<const SeccompProgram>>> recent_;
};

// The file name of a profile in the cache: 64 hex digits of the sha256 of everything that decides
// the program (the profile, libseccomp's version, the host's architecture).
std::string SeccompCacheKey(const LinuxSeccomp& profile);

}  // namespace gantry::runtime

#endif  // GANTRY_RUNTIME_SECCOMP_SECCOMP_H_
