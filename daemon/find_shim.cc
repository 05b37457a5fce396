#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "daemon/daemon.h"

namespace gantry::daemon {

constexpr char kShimName[] = "containerd-shim-gantry-v1";

absl::StatusOr<std::string> FindShim(const std::string& configured) {
  if (!configured.empty()) {
    if (::access(configured.c_str(), X_OK) != 0) {
      return ErrnoError(
          errno, absl::StrCat("plugins.\"io.containerd.runtime.v2.task\".shim ", configured));
    }
    return configured;
  }
  std::vector<std::string> directories;
  char self[PATH_MAX];
  if (const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self); length > 0) {
    const std::string program(self, static_cast<size_t>(length));
    const std::string directory = program.substr(0, program.rfind('/'));
    directories.push_back(directory);
    // As the build tree has it.
    directories.push_back(absl::StrCat(directory, "/../shim"));
  }
  const char* path = std::getenv("PATH");
  for (absl::string_view directory : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    if (!directory.empty()) directories.emplace_back(directory);
  }
  for (const std::string& directory : directories) {
    std::string candidate = absl::StrCat(directory, "/", kShimName);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(absl::StrCat("no ", kShimName, " in ",
                                          absl::StrJoin(directories, ", "),
                                          "; set plugins.\"io.containerd.runtime.v2.task\".shim"));
}

}  // namespace gantry::daemon
