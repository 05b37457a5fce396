#include "services/snapshots/overlay_probe.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/random.h"
#include "base/unique_fd.h"
#include "runtime/process/id_mapping.h"
#include "runtime/rootfs/mapped_mount.h"

namespace gantry::snapshots {
namespace {

// What the kernel wrote into the context's log ("e overlay: ..."), for the message.
std::string KernelLog(int context) {
  std::string log;
  char line[512];
  for (ssize_t got; (got = ::read(context, line, sizeof line)) > 0;) {
    const absl::string_view words(line, static_cast<size_t>(got));
    absl::StrAppend(&log, " [", absl::StripTrailingAsciiWhitespace(words), "]");
  }
  return log;
}

absl::Status CheckAllowed(const std::string& option) {
  for (const char* key : {"lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"}) {
    if (absl::StartsWith(option, absl::StrCat(key, "="))) {
      return absl::InvalidArgumentError(
          absl::StrCat("mount_options: \"", option, "\": the directories are gantry's to set"));
    }
  }
  for (const char* refused : {"metacopy=on", "redirect_dir=on"}) {
    if (option == refused) {
      return absl::InvalidArgumentError(
          absl::StrCat("mount_options: \"", option,
                       "\": a layer's directory would no longer hold all of the layer"));
    }
  }
  return absl::OkStatus();
}

absl::Status Set(int context, const std::string& option) {
  const size_t equals = option.find('=');
  const std::string key = option.substr(0, equals);
  const int result =
      equals == std::string::npos
          ? ::fsconfig(context, FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0)
          : ::fsconfig(context, FSCONFIG_SET_STRING, key.c_str(), option.c_str() + equals + 1, 0);
  if (result == 0) return absl::OkStatus();
  return ErrnoError(errno, absl::StrCat("overlay option \"", option, "\"", KernelLog(context)));
}

absl::Status MakeOverlay(const std::string& directory, const std::vector<std::string>& options) {
  const UniqueFd context(::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context.valid()) return ErrnoError(errno, "open an overlay file system context");
  for (const std::string& option : options) GANTRY_RETURN_IF_ERROR(Set(context.get(), option));
  for (const char* part : {"lower", "upper", "work"}) {
    GANTRY_RETURN_IF_ERROR(MakeDirectories(absl::StrCat(directory, "/", part), 0700));
    GANTRY_RETURN_IF_ERROR(Set(context.get(), absl::StrCat(part, "dir=", directory, "/", part)));
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0) {
    return absl::OkStatus();
  }
  return ErrnoError(
      errno, absl::StrCat("overlay with ", absl::StrJoin(options, ","), KernelLog(context.get())));
}

}  // namespace

absl::Status CheckKernelHasOverlay() {
  const absl::StatusOr<std::string> known = ReadFile("/proc/filesystems");
  if (known.ok() && absl::StrContains(*known, "\toverlay\n")) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "overlayfs is not in /proc/filesystems: load the kernel's overlay module");
}

bool InUserNamespace() {
  const absl::StatusOr<std::string> map = ReadFile("/proc/self/uid_map");
  if (!map.ok()) return false;
  std::vector<absl::string_view> words;
  for (const absl::string_view word :
       absl::StrSplit(*map, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    words.push_back(word);
  }
  return words != std::vector<absl::string_view>{"0", "0", "4294967295"};
}

bool CanMapIds(const std::string& root) {
  constexpr uint32_t kSomeId = 100000;
  const std::string directory = absl::StrCat(root, "/removing-probe-", RandomHex(4));
  const absl::Cleanup remove = [&] { RemoveTree(directory).IgnoreError(); };
  // Lower directories alone: an overlay with an upper one syncs the file system when it goes.
  const std::string layers[] = {directory + "/a", directory + "/b"};
  const runtime::FsOption options[] = {{"lowerdir+", layers[0].c_str()},
                                       {"lowerdir+", layers[1].c_str()}};
  const std::string legacy = absl::StrCat("lowerdir=a:b");
  runtime::MountArgs args{};
  args.type = "overlay";
  args.options = options;
  args.option_count = 2;
  args.legacy_dir = directory.c_str();
  args.legacy_data = legacy.c_str();
  for (const std::string& layer : layers) {
    if (!MakeDirectories(layer, 0700).ok()) return false;
  }
  const absl::StatusOr<UniqueFd> map =
      runtime::MakeUserNamespace({{0, kSomeId, 1}}, {{0, kSomeId, 1}});
  if (!map.ok()) return false;
  runtime::Child words{};
  const absl::StatusOr<int> made = runtime::MakeMappedOverlay(args, *map, &words);
  if (!made.ok() || *made < 0) return false;
  const UniqueFd tree(*made);
  struct stat st {};
  return ::fstat(tree.get(), &st) == 0 && st.st_uid == kSomeId;
}

absl::Status ProbeOverlayOptions(const std::string& root, const std::vector<std::string>& options) {
  if (options.empty()) return absl::OkStatus();
  for (const std::string& option : options) GANTRY_RETURN_IF_ERROR(CheckAllowed(option));
  const std::string directory = absl::StrCat(root, "/removing-probe-", RandomHex(4));
  const absl::Status made = MakeOverlay(directory, options);
  GANTRY_RETURN_IF_ERROR(RemoveTree(directory));
  if (made.ok()) return made;
  return WithCode(Annotate(made, "mount_options"), absl::StatusCode::kFailedPrecondition);
}

}  // namespace gantry::snapshots
