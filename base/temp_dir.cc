#include "base/temp_dir.h"

#include <cstdlib>

#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"

namespace gantry {

absl::StatusOr<TempDir> TempDir::Create(absl::string_view prefix, absl::string_view parent) {
  const char* from_environment = ::getenv("TMPDIR");
  std::string below = parent.empty() ? (from_environment != nullptr ? from_environment : "/tmp")
                                     : std::string(parent);
  std::string path = absl::StrCat(below, "/", prefix, "XXXXXX");
  if (::mkdtemp(path.data()) == nullptr) {
    return ErrnoError(errno, absl::StrCat("create temporary directory ", path));
  }
  return TempDir(std::move(path));
}

TempDir::~TempDir() {
  if (path_.empty()) return;
  if (absl::Status status = RemoveTree(path_); !status.ok()) LogWarn(status.message());
}

}  // namespace gantry
