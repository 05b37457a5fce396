#include "services/tasks/runtime_names.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/wire.h"

namespace gantry::tasks {
namespace {

constexpr absl::string_view kRuncShim = "containerd-shim-runc-v2";

// Of containerd.runc.v1.Options, if it is an absolute path.
std::string OtherRuntime(const Any& options) {
  if (!TypeUrlIs(options.type_url, "containerd.runc.v1.Options")) return "";
  constexpr uint32_t kBinaryName = 6;
  std::string name;
  WireReader reader(options.value);
  while (reader.Next()) {
    if (reader.field() == kBinaryName) name = reader.str();
  }
  return !name.empty() && name[0] == '/' ? name : "";
}

// "containerd-shim-NAME-VERSION" of "...NAME.VERSION"; empty if there are no two parts.
std::string ProgramOf(absl::string_view runtime) {
  const std::vector<std::string> parts = absl::StrSplit(runtime, '.');
  if (parts.size() < 2) return "";
  const std::string& name = parts[parts.size() - 2];
  const std::string& version = parts.back();
  if (name.empty() || version.empty() || absl::StrCat(name, version).find('/') != std::string::npos)
    return "";
  return absl::StrCat("containerd-shim-", name, "-", version);
}

}  // namespace

absl::StatusOr<std::string> RuntimeNames::Resolve(absl::string_view runtime,
                                                  const Any& options) const {
  if (!runtime.empty() && runtime[0] == '/') {
    const std::string path(runtime);
    if (::access(path.c_str(), X_OK) == 0) return path;
    return ErrnoError(errno, absl::StrCat("runtime ", path));
  }
  std::string program;
  std::string why;
  if (std::find(own.begin(), own.end(), runtime) != own.end()) {
    const std::string other = OtherRuntime(options);
    if (other.empty()) return std::string();
    program = std::string(kRuncShim);
    why = absl::StrCat(", which options.binary_name ", other, " needs");
  } else {
    program = ProgramOf(runtime);
  }
  if (program.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("runtime \"", runtime,
                     "\": neither a name like io.containerd.runc.v2 nor an absolute path: invalid "
                     "argument"));
  }
  std::vector<std::string> places = directories;
  if (places.empty()) {
    const char* path = std::getenv("PATH");
    places = absl::StrSplit(path == nullptr ? "" : path, ':', absl::SkipEmpty());
  }
  for (const std::string& place : places) {
    std::string candidate = absl::StrCat(place, "/", program);
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(absl::StrCat("runtime \"", runtime, "\": binary not installed \"",
                                          program, "\"", why, ": file does not exist: not found"));
}

}  // namespace gantry::tasks
