#include "services/diff/mounted_tree.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"
#include "services/diff/legacy_overlay.h"

namespace gantry::diff {
namespace {

// What the kernel wrote into the context's log ("e overlay: ..."), for the message.
std::string KernelLog(int context) {
  std::string log;
  char line[512];
  for (ssize_t got; (got = ::read(context, line, sizeof line)) > 0;) {
    absl::StrAppend(&log, " [", absl::StripTrailingAsciiWhitespace(absl::string_view(line, got)),
                    "]");
  }
  return log;
}

absl::Status Configure(int context, const std::string& key, const std::string& value) {
  if (::fsconfig(context, FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) == 0)
    return absl::OkStatus();
  const int error = errno;
  return ErrnoError(error, absl::StrCat("set overlay option ", key, "=", value.substr(0, 200),
                                        KernelLog(context)));
}

absl::Status ConfigureLowerDirectories(int context, const std::string& value) {
  const std::vector<std::string> lower = absl::StrSplit(value, ':');
  // 6.8: lowerdir+ takes one at a time, past the 256 bytes that a string may have.
  if (::fsconfig(context, FSCONFIG_SET_STRING, "lowerdir+", lower[0].c_str(), 0) != 0) {
    return Configure(context, "lowerdir", value);
  }
  for (size_t i = 1; i < lower.size(); ++i) {
    GANTRY_RETURN_IF_ERROR(Configure(context, "lowerdir+", lower[i]));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenNewOverlay(const Mount& mount) {
  UniqueFd context(::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context.valid()) return ErrnoError(errno, "open an overlay file system context");
  for (const std::string& option : mount.options) {
    const std::pair<std::string, std::string> pair =
        absl::StrSplit(option, absl::MaxSplits('=', 1));
    if (pair.first == "lowerdir") {
      GANTRY_RETURN_IF_ERROR(ConfigureLowerDirectories(context.get(), pair.second));
    } else if (pair.first == "upperdir" || pair.first == "workdir" || pair.first == "index" ||
               pair.first == "metacopy" || pair.first == "redirect_dir" || pair.first == "xino") {
      GANTRY_RETURN_IF_ERROR(Configure(context.get(), pair.first, pair.second));
    } else if (option == "userxattr" || option == "volatile") {
      if (::fsconfig(context.get(), FSCONFIG_SET_FLAG, option.c_str(), nullptr, 0) != 0) {
        return ErrnoError(errno, absl::StrCat("set overlay option ", option));
      }
    } else if (absl::StartsWith(option, "uidmap=") || absl::StartsWith(option, "gidmap=")) {
      // A layer has the image's ids, and no tree is compared with one of other ids.
    } else if (option != "rw" && option != "ro") {
      return absl::InvalidArgumentError(
          absl::StrCat("overlay mount option \"", option, "\" is not supported here"));
    }
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    const int error = errno;
    return ErrnoError(error, absl::StrCat("create an overlay of ",
                                          absl::StrJoin(mount.options, ",").substr(0, 500),
                                          KernelLog(context.get())));
  }
  UniqueFd tree(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  if (!tree.valid()) return ErrnoError(errno, "make a mount of the overlay");
  return tree;
}

absl::StatusOr<UniqueFd> OpenOverlay(const Mount& mount) {
  absl::StatusOr<UniqueFd> tree = OpenNewOverlay(mount);
  // Before 6.5 each option is taken, also one that is unknown, and refused as a whole in the end.
  if (ErrnoOf(tree.status()) != EINVAL) return tree;
  absl::StatusOr<UniqueFd> legacy = OpenLegacyOverlay(mount);
  return legacy.ok() ? std::move(legacy) : Annotate(tree.status(), legacy.status().message());
}

std::string OptionOf(const Mount& mount, absl::string_view key) {
  for (const std::string& option : mount.options) {
    absl::string_view value = option;
    if (absl::ConsumePrefix(&value, key)) return std::string(value);
  }
  return "";
}

}  // namespace

std::vector<std::string> LayersOf(const std::vector<Mount>& mounts) {
  if (mounts.size() != 1) return {};
  const Mount& mount = mounts[0];
  if (mount.type == "bind" || mount.type == "rbind") return {mount.source};
  if (mount.type != "overlay") return {};
  std::vector<std::string> layers;
  if (const std::string upper = OptionOf(mount, "upperdir="); !upper.empty()) {
    layers.push_back(upper);
  }
  for (const absl::string_view lower : absl::StrSplit(OptionOf(mount, "lowerdir="), ':')) {
    layers.emplace_back(lower);
  }
  return layers;
}

absl::StatusOr<UniqueFd> OpenMountedTreeReadOnly(const std::vector<Mount>& mounts) {
  if (mounts.empty()) return UniqueFd();
  if (mounts.size() != 1 || mounts[0].type != "overlay" ||
      OptionOf(mounts[0], "upperdir=").empty()) {
    return OpenMountedTree(mounts);
  }
  Mount mount{mounts[0].type, mounts[0].source, {}};
  for (const std::string& option : mounts[0].options) {
    if (absl::StartsWith(option, "upperdir=") || absl::StartsWith(option, "workdir=") ||
        absl::StartsWith(option, "lowerdir=") || option == "volatile") {
      continue;
    }
    mount.options.push_back(option);
  }
  mount.options.push_back(absl::StrCat("lowerdir=", absl::StrJoin(LayersOf(mounts), ":")));
  return OpenOverlay(mount);
}

absl::StatusOr<UniqueFd> OpenMountedTree(const std::vector<Mount>& mounts) {
  if (mounts.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("mounts: want one mount, got ", mounts.size()));
  }
  const Mount& mount = mounts[0];
  if (mount.type == "overlay") return OpenOverlay(mount);
  if (mount.type == "bind" || mount.type == "rbind") {
    if (mount.source.empty() || mount.source[0] != '/') {
      return absl::InvalidArgumentError(
          absl::StrCat("mounts: source \"", mount.source, "\" is not absolute"));
    }
    return OpenFile(mount.source, O_PATH | O_DIRECTORY);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("mounts: type \"", mount.type, "\" is not bind or overlay"));
}

}  // namespace gantry::diff
