#include <fcntl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/path.h"
#include "runtime/process/id_mapping.h"
#include "runtime/rootfs/mapped_mount.h"
#include "runtime/rootfs/mount_options.h"
#include "runtime/rootfs/rootfs_plan.h"

namespace gantry::runtime {
namespace {

// fsconfig(2) takes strings of up to 255 bytes.
constexpr size_t kMaxFsString = 255;
// mount(2) takes one page of options.
constexpr size_t kMaxMountData = 4095;

constexpr char kPrefix[] = "unable to start container process: ";

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

// Makes the tree of `args` in this process, for a child that may not. An ordinary user may not
// here, and leaves it to the child, who is root of a namespace of its own. With `id_map` the ids of
// a bind are mapped, or those of an overlay's lower directories.
absl::Status MakeTreeHere(const std::string& what, const UniqueFd& id_map, bool map_below,
                          MountArgs* args, PlanBuilder* plan) {
  // What the host mounts later may show in it, what the container mounts may not show on the host.
  if (args->propagation == 0) {
    args->propagation = MS_SLAVE;
    args->propagation_recursive = true;
  }
  const bool mapped_layers = id_map.valid() && args->type != nullptr;
  Child words{};
  int made = -1;
  if (mapped_layers) {
    GANTRY_ASSIGN_OR_RETURN(made, MakeMappedOverlay(*args, id_map, &words));
  } else {
    made = OpenTree(words, *args);
  }
  UniqueFd tree(made);
  int error = made < 0 ? -made : 0;
  if (error == 0 && id_map.valid() && !mapped_layers) {
    mount_attr attributes{};
    attributes.attr_set = MOUNT_ATTR_IDMAP;
    attributes.userns_fd = static_cast<uint64_t>(id_map.get());
    const unsigned flags = AT_EMPTY_PATH | (map_below ? AT_RECURSIVE : 0);
    if (::syscall(SYS_mount_setattr, made, "", flags, &attributes, sizeof attributes) != 0) {
      error = errno;
      SetDetail(words, "map its ids");
    }
  }
  if (error == EPERM && !id_map.valid()) return absl::OkStatus();
  if (error != 0) {
    const std::string detail =
        words.report.detail[0] == '\0' ? "" : absl::StrCat(" (", words.report.detail, ")");
    return ErrnoError(error, absl::StrCat(kPrefix, what, detail));
  }
  args->tree = made;
  plan->KeepFd(std::move(tree));
  return absl::OkStatus();
}

// The user namespace that a mount is mapped by; empty if it is not mapped. Without mappings of its
// own it gets the container's.
absl::StatusOr<UniqueFd> IdMapOf(const SpecMount& mount, const MountOptions& options,
                                 const Linux& spec) {
  if (!options.id_mapped && mount.uid_mappings.empty()) return UniqueFd();
  if (!mount.uid_mappings.empty()) {
    return MakeUserNamespace(mount.uid_mappings, mount.gid_mappings);
  }
  if (spec.uid_mappings.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "mounts: the mount on ", mount.destination,
        " is to be mapped, and neither it nor the container has uidMappings and gidMappings"));
  }
  return MakeUserNamespace(spec.uid_mappings, spec.gid_mappings);
}

std::string HostPath(const std::string& path, const std::string& bundle) {
  return !path.empty() && path[0] == '/' ? path : JoinPath(bundle, path);
}

}  // namespace

absl::Status PlanRootMount(const Mount& mount, const std::string& root, const MountContext& context,
                           PlanBuilder* plan) {
  std::vector<std::string> given_options = mount.options;
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd id_map, TakeIdMap(&given_options));
  const MountOptions options = ParseMountOptions(given_options);
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
      for (const std::string& option : options.superblock) {
        given.push_back(FsOption{plan->Text(option), nullptr});
      }
      for (const std::string& option : options.data) given.push_back(ToFsOption(option, plan));
      // A device that is read-only itself takes no other.
      if ((options.attr_set & MOUNT_ATTR_RDONLY) != 0) given.push_back(FsOption{"ro", nullptr});
      SetFsOptions(given, &args, plan);
    }
  }
  const std::string what = absl::StrCat("mount ", mount.type, " on");
  if (id_map.valid() && args.type != nullptr && mount.type != "overlay") {
    return absl::InvalidArgumentError(
        absl::StrCat("rootfs: a mount of type ", mount.type, " cannot have mapped ids"));
  }
  if (context.in_user_namespace || id_map.valid()) {
    GANTRY_RETURN_IF_ERROR(
        MakeTreeHere(absl::StrCat(what, " ", target), id_map, false, &args, plan));
  }
  plan->Add(MountOne, what, target, args);
  return absl::OkStatus();
}

namespace {

absl::Status PlanBind(const SpecMount& mount, const MountOptions& options,
                      const std::string& target, const MountContext& context, PlanBuilder* plan) {
  if (!options.data.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("mounts: unknown option \"", options.data[0],
                                                   "\" of the bind mount on ", target));
  }
  MountArgs args{};
  Take(options, &args);
  args.target = plan->Text(target);
  args.source = plan->Text(HostPath(mount.source, context.bundle));
  // As runc: a bind is private to the container unless the spec says otherwise, with all that is
  // mounted below.
  if (args.propagation == 0) {
    args.propagation = MS_PRIVATE;
    args.propagation_recursive = true;
  }
  const std::string what = absl::StrCat("bind ", mount.source, " on");
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd id_map, IdMapOf(mount, options, context.spec));
  if (context.in_user_namespace || context.shared || id_map.valid()) {
    GANTRY_RETURN_IF_ERROR(MakeTreeHere(absl::StrCat(what, " ", target), id_map,
                                        options.id_mapped_below, &args, plan));
  }
  plan->Add(MountOne, what, target, args);
  return absl::OkStatus();
}

bool HasOption(const std::vector<std::string>& options, absl::string_view prefix) {
  for (const std::string& option : options) {
    if (absl::StartsWith(option, prefix)) return true;
  }
  return false;
}

// The kernel makes these for whoever asks, and "ro" is no word of theirs.
bool IsOfTheKernel(const std::string& type) {
  for (const char* known : {"proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup2", "overlay"}) {
    if (type == known) return true;
  }
  return false;
}

}  // namespace

bool IsReadonlyLate(const SpecMount& mount) {
  return mount.type == "tmpfs" || CleanPath(mount.destination) == "/dev";
}

absl::Status PlanMount(const SpecMount& mount, const MountContext& context, PlanBuilder* plan) {
  MountOptions options = ParseMountOptions(mount.options);
  const std::string target = CleanPath(mount.destination);
  if (target == "/") {
    return absl::InvalidArgumentError("mounts: a mount on \"/\" would cover the root");
  }
  const bool bind = options.bind || mount.type == "bind";
  const bool readonly = (options.attr_set & MOUNT_ATTR_RDONLY) != 0;
  if (!bind && IsReadonlyLate(mount)) options.attr_set &= ~uint64_t{MOUNT_ATTR_RDONLY};
  if (options.copy_up && mount.type != "tmpfs") {
    return absl::InvalidArgumentError(
        absl::StrCat("mounts: option \"tmpcopyup\" on ", target, ": only a tmpfs has it"));
  }
  if (bind) return PlanBind(mount, options, target, context, plan);
  if (options.id_mapped || !mount.uid_mappings.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "mounts: the mount on ", target, ": id-mapped mounts are only supported for bind mounts"));
  }
  if (mount.type.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("mounts: no type for the mount on ", target));
  }
  MountArgs args{};
  Take(options, &args);
  args.target = plan->Text(target);
  // A link there would put what the runtime and the container trust somewhere else
  // (CVE-2019-19921).
  args.ordinary_target = mount.type == "proc" || mount.type == "sysfs";
  // The kernel shows sysfs of a network to the user namespace that owns it alone. Bound from the
  // host it is at least there, as crun does it.
  if (mount.type == "sysfs" && context.in_user_namespace &&
      context.spec.FindNamespace(NamespaceType::kNetwork) == nullptr) {
    args.source = "/sys";
    args.recursive = true;
    args.recursive_set |= args.attr_set;
    args.propagation = MS_SLAVE;
    args.propagation_recursive = true;
    plan->Add(MountOne, "bind /sys on", target, args);
    return absl::OkStatus();
  }
  args.type = plan->Text(mount.type);
  args.copy_up = options.copy_up;
  args.keep_mode = mount.type == "tmpfs" && !HasOption(options.data, "mode=");
  std::vector<FsOption> given;
  if (!mount.source.empty() && mount.source.size() <= kMaxFsString) {
    given.push_back(FsOption{plan->Text("source"), plan->Text(mount.source)});
  }
  for (const std::string& option : options.superblock) {
    given.push_back(FsOption{plan->Text(option), nullptr});
  }
  for (const std::string& option : options.data) given.push_back(ToFsOption(option, plan));
  if (readonly && !IsOfTheKernel(mount.type)) given.push_back(FsOption{"ro", nullptr});
  SetFsOptions(given, &args, plan);
  plan->Add(MountOne, absl::StrCat("mount ", mount.type, " on"), target, args);
  return absl::OkStatus();
}

}  // namespace gantry::runtime
