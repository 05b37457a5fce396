#include "runtime/process/process_plan.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "base/errors.h"
#include "base/path.h"
#include "runtime/spec/names.h"

namespace gantry::runtime {
namespace {

// A kernel may know fewer than the list of names; capset(2) ignores those, prctl(2) does not.
uint64_t KnownCapabilities() {
  int last = 63;
  while (last > 0 && ::prctl(PR_CAPBSET_READ, last, 0, 0, 0) < 0) --last;
  return last == 63 ? ~uint64_t{0} : (uint64_t{1} << (last + 1)) - 1;
}

// What the runtime may hand out at all: on a host that has fewer capabilities, or within another
// container, asking for more would fail where runc only warns.
// In a user namespace the process has them all.
uint64_t GrantableCapabilities(bool in_user_namespace) {
  if (in_user_namespace) return KnownCapabilities();
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return ~uint64_t{0};
  return data[0].permitted | uint64_t{data[1].permitted} << 32;
}

IdentityArgs ToIdentity(const Process& process, bool in_user_namespace, PlanBuilder* plan) {
  IdentityArgs args{};
  args.uid = process.user.uid;
  args.gid = process.user.gid;
  args.groups =
      plan->KeepArray(process.user.additional_gids.data(), process.user.additional_gids.size());
  args.group_count = process.user.additional_gids.size();
  const Capabilities sets = process.capabilities.value_or(Capabilities{});
  const uint64_t own = GrantableCapabilities(in_user_namespace);
  args.bounding = sets.bounding & own;
  args.permitted = sets.permitted & own;
  args.effective = sets.effective & args.permitted;
  args.inheritable = sets.inheritable & own;
  // The kernel's rule: ambient is within both.
  args.ambient = sets.ambient & args.permitted & args.inheritable;
  return args;
}

absl::Status PlanLabels(const Process& process, PlanBuilder* plan) {
  if (!process.apparmor_profile.empty()) {
    if (::access("/sys/kernel/security/apparmor", F_OK) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("process.apparmorProfile: \"", process.apparmor_profile,
                       "\" cannot be applied: AppArmor is not enabled on this host"));
    }
    const std::string text = absl::StrCat("exec ", process.apparmor_profile);
    const char* path = ::access("/proc/self/attr/apparmor/exec", F_OK) == 0
                           ? "thread-self/attr/apparmor/exec"
                           : "thread-self/attr/exec";
    plan->Add(WriteProc, "apply AppArmor profile", process.apparmor_profile,
              WriteProcArgs{path, plan->Text(text), text.size()});
  }
  if (!process.selinux_label.empty()) {
    if (::access("/sys/fs/selinux/enforce", F_OK) != 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("process.selinuxLabel: \"", process.selinux_label,
                       "\": selinux label is specified in config, but selinux is disabled or not "
                       "supported"));
    }
    plan->Add(WriteProc, "apply SELinux label", process.selinux_label,
              WriteProcArgs{"thread-self/attr/exec", plan->Text(process.selinux_label),
                            process.selinux_label.size()});
  }
  return absl::OkStatus();
}

// Sysctls by the namespace that has one of its own.
// Source: runc libcontainer/configs/validate; Linux ipc/ipc_sysctl.c, kernel/utsname_sysctl.c.
bool IsIpcSysctl(const std::string& name) {
  constexpr const char* kNames[] = {"kernel.msgmax", "kernel.msgmnb",         "kernel.msgmni",
                                    "kernel.sem",    "kernel.shmall",         "kernel.shmmax",
                                    "kernel.shmmni", "kernel.shm_rmid_forced"};
  for (const char* known : kNames) {
    if (name == known) return true;
  }
  return absl::StartsWith(name, "fs.mqueue.");
}

bool IsUtsSysctl(const std::string& name) {
  return name == "kernel.domainname" || name == "kernel.hostname";
}

absl::Status CheckSysctl(const std::string& name, const Linux& spec) {
  NamespaceType needs = NamespaceType::kNetwork;
  if (IsIpcSysctl(name)) {
    needs = NamespaceType::kIpc;
  } else if (IsUtsSysctl(name)) {
    needs = NamespaceType::kUts;
  } else if (!absl::StartsWith(name, "net.")) {
    return absl::InvalidArgumentError(
        absl::StrCat("linux.sysctl: \"", name, "\" belongs to the host, not to a namespace"));
  }
  if (spec.FindNamespace(needs) != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("linux.sysctl: \"", name, "\" needs a ",
                                                 NamespaceName(needs),
                                                 " namespace of the container's own"));
}

// Dots and slashes mean each other in names such as net.ipv4.conf.eth0/1.forwarding.
std::string SwapDotsAndSlashes(std::string name) {
  for (char& c : name) {
    if (c == '.') {
      c = '/';
    } else if (c == '/') {
      c = '.';
    }
  }
  return name;
}

// The spelling with dots, whichever of the two is given: as of sysctl(8), the first one tells.
std::string Dotted(const std::string& name) {
  const size_t first = name.find_first_of("./");
  return first != std::string::npos && name[first] == '/' ? SwapDotsAndSlashes(name) : name;
}

// `name` is dotted.
absl::StatusOr<std::string> SysctlPath(const std::string& name) {
  const std::string path = absl::StrCat("sys/", SwapDotsAndSlashes(name));
  if (CleanPath(absl::StrCat("/", path)) != absl::StrCat("/", path)) {
    return absl::InvalidArgumentError(absl::StrCat("linux.sysctl: not a name: \"", name, "\""));
  }
  return path;
}

absl::StatusOr<int> AboveStandard(int fd, PlanBuilder* plan) {
  if (fd < 0 || fd > 2) return fd;
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy.valid()) return ErrnoError(errno, absl::StrCat("duplicate descriptor ", fd));
  const int number = copy.get();
  plan->KeepFd(std::move(copy));
  return number;
}

// As the child does it where it may: what refuses keeps its owner.
void GivePipes(const Stdio& stdio, std::optional<uint32_t> host_uid) {
  if (!host_uid.has_value()) return;
  for (const int fd : {stdio.in, stdio.out, stdio.err}) {
    struct stat status {};
    if (fd >= 0 && ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode)) {
      (void)!::fchown(fd, *host_uid, static_cast<gid_t>(-1));
    }
  }
}

SeccompArgs ToSeccompArgs(std::shared_ptr<const SeccompProgram> program, PlanBuilder* plan) {
  SeccompArgs args{};
  args.program.len = static_cast<unsigned short>(program->filter.size());
  args.program.filter = const_cast<sock_filter*>(program->filter.data());
  args.flags = program->flags;
  args.listener = program->uses_notify;
  plan->KeepShared(std::move(program));
  return args;
}

}  // namespace

absl::Status PlanStdio(const Process& process, const Stdio& stdio,
                       const UserNamespace& user_namespace, PlanBuilder* plan) {
  if (process.terminal) return absl::OkStatus();
  StdioArgs args{};
  GANTRY_ASSIGN_OR_RETURN(args.source[0], AboveStandard(stdio.in, plan));
  GANTRY_ASSIGN_OR_RETURN(args.source[1], AboveStandard(stdio.out, plan));
  GANTRY_ASSIGN_OR_RETURN(args.source[2], AboveStandard(stdio.err, plan));
  args.uid = process.user.uid;
  args.give_pipes = !user_namespace.exists;
  if (user_namespace.exists) GivePipes(stdio, ToHostId(*user_namespace.uids, process.user.uid));
  plan->Add(SetStdio, "set", "standard input and output", args);
  return absl::OkStatus();
}

void PlanNullStdio(const Process& process, const Stdio& stdio, PlanBuilder* plan) {
  if (process.terminal || (stdio.in >= 0 && stdio.out >= 0 && stdio.err >= 0)) return;
  StdioArgs args{};
  args.source[0] = stdio.in;
  args.source[1] = stdio.out;
  args.source[2] = stdio.err;
  plan->Add(ReopenNull, "open", "/dev/null", args);
}

void PlanOomScore(int score, PlanBuilder* plan) {
  const std::string text = std::to_string(score);
  plan->Add(WriteProc, "set oom_score_adj to", text,
            WriteProcArgs{"self/oom_score_adj", plan->Text(text), text.size()});
}

absl::Status PlanSysctls(const Linux& spec, SysctlPart part, PlanBuilder* plan) {
  for (const auto& [given, value] : spec.sysctl) {
    const std::string name = Dotted(given);
    if (part != SysctlPart::kAll && IsUtsSysctl(name) != (part == SysctlPart::kUts)) continue;
    GANTRY_RETURN_IF_ERROR(CheckSysctl(name, spec));
    GANTRY_ASSIGN_OR_RETURN(const std::string path, SysctlPath(name));
    plan->Add(WriteProc, "set sysctl", name,
              WriteProcArgs{plan->Text(path), plan->Text(value), value.size()});
  }
  return absl::OkStatus();
}

void PlanKeyring(const std::string& name, PlanBuilder* plan) {
  const char* text = plan->Text(absl::StrCat("_ses.", name));
  plan->Add(JoinSessionKeyring, "join session keyring", text, TextArgs{text, 0});
}

absl::Status PlanIdentity(const Process& process, const IdentityOptions& options,
                          PlanBuilder* plan) {
  std::shared_ptr<const SeccompProgram> seccomp = options.seccomp;
  if (process.terminal) {
    const ConsoleSize size = process.console_size.value_or(ConsoleSize{});
    plan->Add(OpenTerminal, "open a terminal in", "/dev/pts",
              TerminalArgs{size.height, size.width, process.user.uid, options.is_init});
  }
  plan->SetProgram(process);
  for (const Rlimit& limit : process.rlimits) {
    RlimitArgs args{};
    args.resource = limit.resource;
    args.limit.rlim_cur = limit.soft;
    args.limit.rlim_max = limit.hard;
    plan->Add(SetRlimit, "set resource limit", std::to_string(limit.resource), args);
  }
  GANTRY_RETURN_IF_ERROR(PlanLabels(process, plan));
  std::optional<SeccompArgs> filter;
  if (seccomp != nullptr) filter = ToSeccompArgs(std::move(seccomp), plan);
  if (process.no_new_privileges) {
    plan->Add(SetNoNewPrivileges, "set", "no_new_privs");
    // As late as can be: fewer system calls to allow in the profile.
    if (filter.has_value()) plan->SetLateSeccomp(*filter);
  } else if (filter.has_value()) {
    // Without no_new_privs it takes CAP_SYS_ADMIN, which goes in the next steps.
    plan->Add(LoadSeccomp, "load the", "seccomp filter", *filter);
  }
  const IdentityArgs identity = ToIdentity(process, options.in_user_namespace, plan);
  const char* cwd = plan->Text(process.cwd);
  plan->Add(EnterCwd, "enter the working directory", process.cwd, CwdArgs{cwd, true});
  plan->Add(DropBounding, "limit the", "bounding capabilities", identity);
  plan->Add(SetUserAndGroups, "become user", absl::StrCat(process.user.uid, ":", process.user.gid),
            identity);
  plan->Add(EnterCwd, "enter the working directory", process.cwd, CwdArgs{cwd, false});
  plan->Add(SetCapabilities, "set the", "capabilities", identity);
  plan->Add(SetUmask, "set the", "umask", UmaskArgs{process.user.umask.value_or(0022)});
  plan->Add(CloseDescriptors, "close", "the runtime's descriptors");
  return absl::OkStatus();
}

}  // namespace gantry::runtime
