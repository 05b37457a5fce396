#include <sys/mount.h>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/path.h"
#include "runtime/rootfs/mount_options.h"
#include "runtime/rootfs/rootfs_plan.h"

namespace gantry::runtime {
namespace {

// fsconfig(2) takes strings of up to 255 bytes.
constexpr size_t kMaxFsString = 255;
// mount(2) takes one page of options.
constexpr size_t kMaxMountData = 4095;

void Take(const MountOptions& options, MountArgs* args) {
  args->recursive = options.recursive;
  args->attr_set = options.attr_set;
  args->attr_clear = options.attr_clear;
  args->recursive_set = options.recursive_set;
  args->recursive_clear = options.recursive_clear;
  args->propagation = options.propagation;
  args->propagation_recursive = options.propagation_recursive;
}

FsOption ToFsOption(const std::string& option, PlanBuilder* plan) {
  const size_t equal = option.find('=');
  if (equal == std::string::npos) return FsOption{plan->Text(option), nullptr};
  return FsOption{plan->Text(option.substr(0, equal)), plan->Text(option.substr(equal + 1))};
}

void SetFsOptions(const std::vector<FsOption>& options, MountArgs* args, PlanBuilder* plan) {
  args->options = plan->KeepArray(options.data(), options.size());
  args->option_count = options.size();
}

// The layers of "lowerdir=a:b:c"; a colon in a name is written "\:".
std::vector<std::string> SplitLayers(absl::string_view text) {
  std::vector<std::string> layers(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      layers.back() += text[++i];
    } else if (text[i] == ':') {
      layers.emplace_back();
    } else {
      layers.back() += text[i];
    }
  }
  return layers;
}

std::string CommonDirectory(const std::vector<std::string>& paths) {
  std::string common = paths[0].substr(0, paths[0].rfind('/') + 1);
  for (const std::string& path : paths) {
    while (!common.empty() && !absl::StartsWith(path, common)) {
      common = common.substr(0, common.rfind('/', common.size() - 2) + 1);
    }
  }
  return common;
}

// For kernels that take layers in one string only: relative to the directory they share, as
// containerd does, so that many fit into a page.
void SetLegacy(const std::vector<std::string>& layers, const std::vector<std::string>& others,
               MountArgs* args, PlanBuilder* plan) {
  const std::string common = CommonDirectory(layers);
  if (common.empty() || common[0] != '/') return;
  std::vector<std::string> relative;
  for (const std::string& layer : layers) relative.push_back(layer.substr(common.size()));
  std::string data = absl::StrCat("lowerdir=", absl::StrJoin(relative, ":"));
  for (const std::string& other : others) absl::StrAppend(&data, ",", other);
  if (data.size() > kMaxMountData) return;
  args->legacy_dir = plan->Text(common);
  args->legacy_data = plan->Text(data);
}

absl::Status SetOverlayOptions(const MountOptions& options, MountArgs* args, PlanBuilder* plan) {
  std::vector<FsOption> given;
  std::vector<std::string> layers;
  std::vector<std::string> others;
  for (const std::string& option : options.data) {
    if (absl::StartsWith(option, "lowerdir=")) {
      layers = SplitLayers(absl::string_view(option).substr(9));
      continue;
    }
    if (option.size() > kMaxFsString) {
      return absl::InvalidArgumentError(
          absl::StrCat("rootfs: overlay option of ", option.size(), " bytes: ", option));
    }
    others.push_back(option);
    given.push_back(ToFsOption(option, plan));
  }
  const char* key = plan->Text("lowerdir+");
  for (const std::string& layer : layers) given.push_back(FsOption{key, plan->Text(layer)});
  if (!layers.empty()) SetLegacy(layers, others, args, plan);
  SetFsOptions(given, args, plan);
  return absl::OkStatus();
}

std::string HostPath(const std::string& path, const std::string& bundle) {
  return !path.empty() && path[0] == '/' ? path : JoinPath(bundle, path);
}

}  // namespace

absl::Status PlanRootMount(const Mount& mount, const std::string& root, PlanBuilder* plan) {
  const MountOptions options = ParseMountOptions(mount.options);
  MountArgs args{};
  Take(options, &args);
  // Within the root, links of the image are resolved as everywhere in it.
  args.on_host = mount.target.empty();
  const std::string target = args.on_host ? root : CleanPath(absl::StrCat("/", mount.target));
  args.target = plan->Text(target);
  if (options.bind || mount.type == "bind") {
    if (mount.source.empty() || mount.source[0] != '/') {
      return absl::InvalidArgumentError(
          absl::StrCat("rootfs: source is not an absolute path: \"", mount.source, "\""));
    }
    args.source = plan->Text(mount.source);
  } else {
    args.type = plan->Text(mount.type);
    if (mount.type == "overlay") {
      GANTRY_RETURN_IF_ERROR(SetOverlayOptions(options, &args, plan));
    } else {
      std::vector<FsOption> given;
      if (!mount.source.empty()) {
        given.push_back(FsOption{plan->Text("source"), plan->Text(mount.source)});
      }
      for (const std::string& option : options.data) given.push_back(ToFsOption(option, plan));
      SetFsOptions(given, &args, plan);
    }
  }
  plan->Add(MountOne, absl::StrCat("mount ", mount.type, " on"), target, args);
  return absl::OkStatus();
}

absl::Status PlanMount(const SpecMount& mount, const std::string& bundle, PlanBuilder* plan) {
  const MountOptions options = ParseMountOptions(mount.options);
  const std::string target = CleanPath(mount.destination);
  if (target == "/") {
    return absl::InvalidArgumentError("mounts: a mount on \"/\" would cover the root");
  }
  MountArgs args{};
  Take(options, &args);
  args.target = plan->Text(target);
  if (options.bind || mount.type == "bind") {
    if (!options.data.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("mounts: unknown option \"", options.data[0],
                                                     "\" of the bind mount on ", target));
    }
    args.source = plan->Text(HostPath(mount.source, bundle));
    // As runc: a bind is private to the container unless the spec says otherwise, with all that is
    // mounted below.
    if (args.propagation == 0) {
      args.propagation = MS_PRIVATE;
      args.propagation_recursive = true;
    }
    plan->Add(MountOne, absl::StrCat("bind ", mount.source, " on"), target, args);
    return absl::OkStatus();
  }
  if (mount.type.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("mounts: no type for the mount on ", target));
  }
  args.type = plan->Text(mount.type);
  // A link there would put what the runtime and the container trust somewhere else
  // (CVE-2019-19921).
  args.ordinary_target = mount.type == "proc" || mount.type == "sysfs";
  std::vector<FsOption> given;
  if (!mount.source.empty() && mount.source.size() <= kMaxFsString) {
    given.push_back(FsOption{plan->Text("source"), plan->Text(mount.source)});
  }
  for (const std::string& option : options.data) {
    if (option == "tmpcopyup") {
      return absl::UnimplementedError(
          absl::StrCat("mounts: option \"tmpcopyup\" on ", target, " is not supported yet"));
    }
    given.push_back(ToFsOption(option, plan));
  }
  SetFsOptions(given, &args, plan);
  plan->Add(MountOne, absl::StrCat("mount ", mount.type, " on"), target, args);
  return absl::OkStatus();
}

}  // namespace gantry::runtime
