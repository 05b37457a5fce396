// checkpoint and restore, which criu(8) does.

#include <unistd.h>

#include <cstdlib>

#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/path.h"
#include "cli/command.h"

namespace gantry::cli {
namespace {

bool IsInstalled(const std::string& program) {
  if (program.find('/') != std::string::npos) return ::access(program.c_str(), X_OK) == 0;
  const char* const path = ::getenv("PATH");
  for (const absl::string_view directory : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    if (::access(JoinPath(directory, program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

absl::Status Refuse(const GlobalOptions& global, absl::string_view what) {
  if (!IsInstalled(global.criu)) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot ", what, ": criu is not installed (--criu ", global.criu, ")"));
  }
  return absl::UnimplementedError(absl::StrCat("cannot ", what, ": not supported yet"));
}

}  // namespace

absl::StatusOr<int> RunCheckpoint(const GlobalOptions& global, const std::vector<std::string>&) {
  return Refuse(global, "checkpoint a container");
}

absl::StatusOr<int> RunRestore(const GlobalOptions& global, const std::vector<std::string>&) {
  return Refuse(global, "restore a container");
}

}  // namespace gantry::cli
