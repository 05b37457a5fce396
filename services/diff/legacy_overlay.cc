#include "services/diff/legacy_overlay.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"

namespace gantry::diff {
namespace {

constexpr size_t kPage = 4096;  // what mount(2) copies of its data

// The directory that all of `paths` are below, with its slash.
std::string CommonDirectory(const std::vector<std::string>& paths) {
  std::string common = paths[0].substr(0, paths[0].rfind('/') + 1);
  for (const std::string& path : paths) {
    while (!common.empty() && !absl::StartsWith(path, common)) {
      common = common.substr(0, common.rfind('/', common.size() - 2) + 1);
    }
  }
  return common;
}

// On a thread that ends after it: its namespaces and its working directory are changed for good.
absl::StatusOr<UniqueFd> MountInOwnNamespace(const std::string& directory, const std::string& data,
                                             unsigned long flags) {
  if (::unshare(CLONE_NEWNS) != 0) return ErrnoError(errno, "make a mount namespace");
  // Nothing of it may come back to the host.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return ErrnoError(errno, "take the mounts out of the host's");
  }
  if (::chdir(directory.c_str()) != 0) return ErrnoError(errno, absl::StrCat("enter ", directory));
  // Over the layers themselves, whom nobody looks up here any more.
  if (::mount("overlay", directory.c_str(), "overlay", flags, data.c_str()) != 0) {
    return ErrnoError(errno, absl::StrCat("mount an overlay of ", data.substr(0, 500)));
  }
  UniqueFd tree(static_cast<int>(
      ::syscall(SYS_open_tree, AT_FDCWD, directory.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)));
  if (!tree.valid()) return ErrnoError(errno, "detach the overlay");
  return tree;
}

}  // namespace

absl::StatusOr<UniqueFd> OpenLegacyOverlay(const Mount& mount) {
  std::vector<std::string> layers;
  std::vector<std::string> options;
  unsigned long flags = 0;
  for (const std::string& option : mount.options) {
    absl::string_view value = option;
    if (absl::ConsumePrefix(&value, "lowerdir=")) {
      layers = absl::StrSplit(value, ':');
    } else if (option == "ro") {
      flags = MS_RDONLY;
    } else if (option != "rw" && !absl::StartsWith(option, "uidmap=") &&
               !absl::StartsWith(option, "gidmap=")) {
      options.push_back(option);
    }
  }
  if (layers.empty()) return absl::InvalidArgumentError("an overlay without lowerdir");
  const std::string common = CommonDirectory(layers);
  if (common.empty() || common[0] != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("lowerdir=", absl::StrJoin(layers, ":"), ": want absolute paths"));
  }
  for (std::string& layer : layers) layer = layer.substr(common.size());
  options.push_back(absl::StrCat("lowerdir=", absl::StrJoin(layers, ":")));
  const std::string data = absl::StrJoin(options, ",");
  if (data.size() >= kPage) {
    return absl::InvalidArgumentError(absl::StrCat("an overlay of ", layers.size(),
                                                   " layers: this kernel takes their names in ",
                                                   kPage, " bytes only, they have ", data.size()));
  }
  absl::StatusOr<UniqueFd> tree = absl::InternalError("not run");
  std::thread([&] { tree = MountInOwnNamespace(common, data, flags); }).join();
  return tree;
}

}  // namespace gantry::diff
