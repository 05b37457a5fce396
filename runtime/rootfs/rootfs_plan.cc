#include "runtime/rootfs/rootfs_plan.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <set>

#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/path.h"
#include "runtime/process/hooks.h"
#include "runtime/rootfs/mount_options.h"
#include "runtime/spec/names.h"

namespace gantry::runtime {
namespace {

struct DefaultDevice {
  const char* path;
  unsigned major;
  unsigned minor;
};

// Source: runtime-spec, config-linux.md, "Default Devices".
constexpr DefaultDevice kDefaultDevices[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

struct DefaultLink {
  const char* name;
  const char* target;
  bool replace;
};

constexpr DefaultLink kDefaultLinks[] = {
    {"fd", "/proc/self/fd", false},
    {"stdin", "/proc/self/fd/0", false},
    {"stdout", "/proc/self/fd/1", false},
    {"stderr", "/proc/self/fd/2", false},
    // A device of the host's, if the image brings one, would open terminals of the host's devpts.
    {"ptmx", "pts/ptmx", true},
};

void Split(const std::string& path, std::string* directory, std::string* name) {
  const size_t slash = path.rfind('/');
  *directory = slash == 0 ? "/" : path.substr(0, slash);
  *name = path.substr(slash + 1);
}

void AddDevice(const std::string& path, mode_t mode, dev_t number, uid_t uid, gid_t gid,
               PlanBuilder* plan) {
  std::string directory;
  std::string name;
  Split(path, &directory, &name);
  DeviceArgs args{};
  args.directory = plan->Text(directory);
  args.name = plan->Text(name);
  args.host_path = plan->Text(path);
  args.mode = mode;
  args.device = number;
  args.uid = uid;
  args.gid = gid;
  plan->Add(MakeDevice, "make device", path, args);
}

absl::Status PlanDevices(const Spec& spec, PlanBuilder* plan) {
  for (const DefaultDevice& device : kDefaultDevices) {
    bool given = false;
    for (const LinuxDevice& own : spec.linux_.devices) {
      given = given || CleanPath(own.path) == device.path;
    }
    if (given) continue;
    AddDevice(device.path, S_IFCHR | 0666, makedev(device.major, device.minor), 0, 0, plan);
  }
  std::set<std::string> made;
  for (const LinuxDevice& device : spec.linux_.devices) {
    const std::string path = CleanPath(device.path);
    if (!made.insert(path).second) continue;  // engines may name one twice; the first counts
    // A terminal's pair is made by devpts; runc passes over it too.
    if (path == "/dev/ptmx" || path == "/dev/console") continue;
    if (path == "/") {
      return absl::InvalidArgumentError("linux.devices: a device cannot be made at \"/\"");
    }
    const mode_t type = device.type == 'b' ? S_IFBLK : device.type == 'p' ? S_IFIFO : S_IFCHR;
    const dev_t number = device.type == 'p' ? 0
                                            : makedev(static_cast<unsigned>(device.major),
                                                      static_cast<unsigned>(device.minor));
    AddDevice(path, type | device.file_mode, number, device.uid, device.gid, plan);
  }
  for (const DefaultLink& link : kDefaultLinks) {
    const LinkArgs args{"/dev", link.name, link.target, link.replace};
    plan->Add(MakeLink, "make link", absl::StrCat("/dev/", link.name), args);
  }
  return absl::OkStatus();
}

// With the host's own /dev bound in, there is nothing to be made in it.
bool HasBoundDev(const Spec& spec) {
  for (const SpecMount& mount : spec.mounts) {
    if (CleanPath(mount.destination) != "/dev") continue;
    for (const std::string& option : mount.options) {
      if (option == "bind" || option == "rbind") return true;
    }
    if (mount.type == "bind") return true;
  }
  return false;
}

void PlanProtection(const Spec& spec, PlanBuilder* plan) {
  for (const std::string& path : spec.linux_.readonly_paths) {
    plan->Add(ReadonlyPath, "make read-only", path, PathArgs{plan->Text(path)});
  }
  for (const std::string& path : spec.linux_.masked_paths) {
    plan->Add(MaskPath, "mask", path, PathArgs{plan->Text(path)});
  }
}

}  // namespace

absl::Status PlanRootfs(const CreateOptions& options, const std::string& root,
                        const std::string& cgroups_path, PlanBuilder* plan) {
  const Spec& spec = options.spec;
  const uint64_t propagation = spec.linux_.rootfs_propagation.empty()
                                   ? uint64_t{MS_SLAVE} | MS_REC
                                   : *PropagationByName(spec.linux_.rootfs_propagation);
  const bool shared = (propagation & MS_SHARED) != 0;
  const bool unbindable = (propagation & MS_UNBINDABLE) != 0;
  // Nothing of the container's root may come back to the host; a root that is to be shared becomes
  // so once it is entered.
  const char* root_text = plan->Text(root);
  if (shared) {
    // Binds are to stay peers of the host's mounts ("Bidirectional"); the root's are not.
    plan->Add(MakeParentPrivate, "take the mount out of the host's that holds", root,
              PathArgs{root_text});
  } else {
    plan->Add(
        SetPropagation, "take the mounts out of the host's", "/",
        PropagationArgs{nullptr,
                        unbindable ? uint64_t{MS_PRIVATE} : propagation & ~uint64_t{MS_REC}, true});
  }
  const MountContext context{spec.linux_, options.bundle,
                             spec.linux_.FindNamespace(NamespaceType::kUser) != nullptr, shared};
  if (options.rootfs_mounts.empty()) {
    plan->Add(BindRootOnItself, "bind the root", root, PathArgs{root_text});
  }
  for (const Mount& mount : options.rootfs_mounts) {
    if (mount.target.empty()) GANTRY_RETURN_IF_ERROR(PlanRootMount(mount, root, context, plan));
  }
  plan->Add(OpenRoot, "open the root", root, PathArgs{root_text});
  for (const Mount& mount : options.rootfs_mounts) {
    if (!mount.target.empty()) GANTRY_RETURN_IF_ERROR(PlanRootMount(mount, root, context, plan));
  }
  if (context.in_user_namespace) plan->Add(BecomeRoot, "become root of", "the user namespace");
  const bool own_cgroups = spec.linux_.FindNamespace(NamespaceType::kCgroup) != nullptr;
  for (const SpecMount& mount : spec.mounts) {
    if (mount.type == "cgroup") {
      GANTRY_RETURN_IF_ERROR(PlanCgroupMount(mount, cgroups_path, own_cgroups, plan));
    } else {
      GANTRY_RETURN_IF_ERROR(PlanMount(mount, context, plan));
    }
  }
  if (!HasBoundDev(spec)) GANTRY_RETURN_IF_ERROR(PlanDevices(spec, plan));
  if (!spec.hooks.prestart.empty() || !spec.hooks.create_runtime.empty()) {
    plan->Add(WaitForHooks, "wait for", "the prestart and createRuntime hooks");
  }
  PlanCreateContainerHooks(spec.hooks.create_container,
                           HookStateOf(spec, options.id, options.bundle), plan);
  plan->Add(options.no_pivot ? MoveRoot : PivotRoot, "enter the root", root);
  if (shared || !spec.linux_.rootfs_propagation.empty()) {
    plan->Add(
        SetPropagation, "set the propagation of", "/",
        PropagationArgs{nullptr, propagation & ~uint64_t{MS_REC}, (propagation & MS_REC) != 0});
  }
  plan->Add(MakeCwd, "make the working directory", spec.process.cwd,
            CwdArgs{plan->Text(CleanPath(spec.process.cwd)), false});
  for (const SpecMount& mount : spec.mounts) {
    const MountOptions given = ParseMountOptions(mount.options);
    if ((given.attr_set & MOUNT_ATTR_RDONLY) == 0 || !IsReadonlyLate(mount)) continue;
    if (given.bind || mount.type == "bind") continue;
    const std::string target = CleanPath(mount.destination);
    plan->Add(ReadonlyMount, "make read-only", target, PathArgs{plan->Text(target)});
  }
  PlanProtection(spec, plan);
  if (spec.root.readonly) plan->Add(ReadonlyRoot, "make read-only", "/");
  return absl::OkStatus();
}

}  // namespace gantry::runtime
