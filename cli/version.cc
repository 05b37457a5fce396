#include "cli/version.h"

#include <seccomp.h>

#include <cstdio>

namespace gantry::cli {

void PrintVersion() {
  std::printf("gantry-oci version %s\ncommit: %s\nspec: %s\n", GANTRY_VERSION, GANTRY_COMMIT,
              kSpecVersion);
  const struct scmp_version* const seccomp = ::seccomp_version();
  if (seccomp != nullptr) {
    std::printf("libseccomp: %u.%u.%u\n", seccomp->major, seccomp->minor, seccomp->micro);
  }
}

}  // namespace gantry::cli
