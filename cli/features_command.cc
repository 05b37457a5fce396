#include <seccomp.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "cli/command.h"
#include "cli/flags.h"
#include "cli/version.h"
#include "runtime/rootfs/mount_options.h"
#include "runtime/spec/names.h"

namespace gantry::cli {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Words that some runtime knows; those that this one does are told.
constexpr const char* kMountOptions[] = {"acl",
                                         "async",
                                         "atime",
                                         "bind",
                                         "defaults",
                                         "dev",
                                         "diratime",
                                         "dirsync",
                                         "exec",
                                         "idmap",
                                         "iversion",
                                         "lazytime",
                                         "loud",
                                         "mand",
                                         "noacl",
                                         "noatime",
                                         "nodev",
                                         "nodiratime",
                                         "noexec",
                                         "noiversion",
                                         "nolazytime",
                                         "nomand",
                                         "norelatime",
                                         "nostrictatime",
                                         "nosuid",
                                         "nosymfollow",
                                         "private",
                                         "ratime",
                                         "rbind",
                                         "rdev",
                                         "rdiratime",
                                         "relatime",
                                         "remount",
                                         "rexec",
                                         "ridmap",
                                         "rnoatime",
                                         "rnodev",
                                         "rnodiratime",
                                         "rnoexec",
                                         "rnorelatime",
                                         "rnostrictatime",
                                         "rnosuid",
                                         "rnosymfollow",
                                         "ro",
                                         "rprivate",
                                         "rrelatime",
                                         "rro",
                                         "rrw",
                                         "rshared",
                                         "rslave",
                                         "rstrictatime",
                                         "rsuid",
                                         "rsymfollow",
                                         "runbindable",
                                         "rw",
                                         "shared",
                                         "silent",
                                         "slave",
                                         "strictatime",
                                         "suid",
                                         "symfollow",
                                         "sync",
                                         "tmpcopyup",
                                         "unbindable"};

constexpr const char* kCapabilities[] = {"CAP_CHOWN",
                                         "CAP_DAC_OVERRIDE",
                                         "CAP_DAC_READ_SEARCH",
                                         "CAP_FOWNER",
                                         "CAP_FSETID",
                                         "CAP_KILL",
                                         "CAP_SETGID",
                                         "CAP_SETUID",
                                         "CAP_SETPCAP",
                                         "CAP_LINUX_IMMUTABLE",
                                         "CAP_NET_BIND_SERVICE",
                                         "CAP_NET_BROADCAST",
                                         "CAP_NET_ADMIN",
                                         "CAP_NET_RAW",
                                         "CAP_IPC_LOCK",
                                         "CAP_IPC_OWNER",
                                         "CAP_SYS_MODULE",
                                         "CAP_SYS_RAWIO",
                                         "CAP_SYS_CHROOT",
                                         "CAP_SYS_PTRACE",
                                         "CAP_SYS_PACCT",
                                         "CAP_SYS_ADMIN",
                                         "CAP_SYS_BOOT",
                                         "CAP_SYS_NICE",
                                         "CAP_SYS_RESOURCE",
                                         "CAP_SYS_TIME",
                                         "CAP_SYS_TTY_CONFIG",
                                         "CAP_MKNOD",
                                         "CAP_LEASE",
                                         "CAP_AUDIT_WRITE",
                                         "CAP_AUDIT_CONTROL",
                                         "CAP_SETFCAP",
                                         "CAP_MAC_OVERRIDE",
                                         "CAP_MAC_ADMIN",
                                         "CAP_SYSLOG",
                                         "CAP_WAKE_ALARM",
                                         "CAP_BLOCK_SUSPEND",
                                         "CAP_AUDIT_READ",
                                         "CAP_PERFMON",
                                         "CAP_BPF",
                                         "CAP_CHECKPOINT_RESTORE"};

OrderedJson MountOptionNames() {
  OrderedJson names = OrderedJson::array();
  for (const char* name : kMountOptions) {
    // What it does not know it would hand to the file system.
    if (runtime::ParseMountOptions({name}).data.empty()) names.push_back(name);
  }
  return names;
}

OrderedJson SeccompFeatures() {
  OrderedJson seccomp;
  seccomp["enabled"] = true;
  seccomp["actions"] = {"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
                        "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
                        "SCMP_ACT_NOTIFY",       "SCMP_ACT_TRACE",       "SCMP_ACT_TRAP"};
  seccomp["operators"] = {"SCMP_CMP_EQ", "SCMP_CMP_GE",        "SCMP_CMP_GT", "SCMP_CMP_LE",
                          "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE"};
  seccomp["archs"] = {"SCMP_ARCH_AARCH64",  "SCMP_ARCH_ARM",         "SCMP_ARCH_MIPS",
                      "SCMP_ARCH_MIPS64",   "SCMP_ARCH_MIPS64N32",   "SCMP_ARCH_MIPSEL",
                      "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",
                      "SCMP_ARCH_PPC64",    "SCMP_ARCH_PPC64LE",     "SCMP_ARCH_RISCV64",
                      "SCMP_ARCH_S390",     "SCMP_ARCH_S390X",       "SCMP_ARCH_X32",
                      "SCMP_ARCH_X86",      "SCMP_ARCH_X86_64"};
  return seccomp;
}

OrderedJson LinuxFeatures() {
  OrderedJson linux_part;
  linux_part["namespaces"] = {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"};
  OrderedJson capabilities = OrderedJson::array();
  for (const char* name : kCapabilities) {
    if (runtime::CapabilityByName(name).has_value()) capabilities.push_back(name);
  }
  linux_part["capabilities"] = capabilities;
  linux_part["cgroup"]["v1"] = true;
  linux_part["cgroup"]["v2"] = true;
  linux_part["cgroup"]["systemd"] = true;
  linux_part["cgroup"]["systemdUser"] = false;
  linux_part["seccomp"] = SeccompFeatures();
  linux_part["apparmor"]["enabled"] = true;
  linux_part["selinux"]["enabled"] = true;
  return linux_part;
}

}  // namespace

absl::StatusOr<int> RunFeatures(const GlobalOptions&, const std::vector<std::string>& args) {
  Flags flags(Flags::Order::kAnywhere);
  GANTRY_ASSIGN_OR_RETURN(const std::vector<std::string> rest, flags.Parse(args));
  GANTRY_RETURN_IF_ERROR(CheckArgs("features", rest, 0, 0));
  OrderedJson json;
  json["ociVersionMin"] = "1.0.0";
  json["ociVersionMax"] = kSpecVersion;
  json["hooks"] = {"prestart",       "createRuntime", "createContainer",
                   "startContainer", "poststart",     "poststop"};
  json["mountOptions"] = MountOptionNames();
  json["linux"] = LinuxFeatures();
  const struct scmp_version* const seccomp = ::seccomp_version();
  if (seccomp != nullptr) {
    json["annotations"]["io.github.seccomp.libseccomp.version"] =
        absl::StrCat(seccomp->major, ".", seccomp->minor, ".", seccomp->micro);
  }
  std::printf("%s\n", json.dump(4).c_str());
  return 0;
}

}  // namespace gantry::cli
