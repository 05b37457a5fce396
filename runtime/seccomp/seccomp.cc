#include "runtime/seccomp/seccomp.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/file.h"
#include "runtime/seccomp/unknown_syscalls.h"

namespace gantry::runtime {
namespace {

template <typename Value>
struct Named {
  absl::string_view name;
  Value value;
};

template <typename Value, size_t kSize>
std::optional<Value> Find(const std::array<Named<Value>, kSize>& table, absl::string_view name) {
  for (const Named<Value>& one : table) {
    if (one.name == name) return one.value;
  }
  return std::nullopt;
}

absl::Status Unknown(absl::string_view field, absl::string_view value) {
  return absl::InvalidArgumentError(
      absl::StrCat("linux.seccomp.", field, " \"", value, "\" is unknown"));
}

absl::StatusOr<uint32_t> Action(absl::string_view field, const std::string& name,
                                std::optional<uint32_t> errno_ret) {
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(errno_ret.value_or(EPERM));
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(errno_ret.value_or(EPERM));
  constexpr std::array<Named<uint32_t>, 7> kActions = {
      {{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
       {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
       {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
       {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
       {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
       {"SCMP_ACT_LOG", SCMP_ACT_LOG},
       {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY}}};
  const std::optional<uint32_t> action = Find(kActions, name);
  if (!action.has_value()) return Unknown(field, name);
  return *action;
}

absl::StatusOr<uint32_t> Architecture(const std::string& name) {
  // libseccomp's names are those of the spec without the prefix, in lower case.
  constexpr absl::string_view kPrefix = "SCMP_ARCH_";
  if (!absl::StartsWith(name, kPrefix)) return Unknown("architectures", name);
  const uint32_t architecture =
      ::seccomp_arch_resolve_name(absl::AsciiStrToLower(name.substr(kPrefix.size())).c_str());
  if (architecture == 0) return Unknown("architectures", name);
  return architecture;
}

absl::StatusOr<scmp_arg_cmp> Argument(const SeccompArg& arg) {
  constexpr std::array<Named<scmp_compare>, 7> kOperators = {
      {{"SCMP_CMP_NE", SCMP_CMP_NE},
       {"SCMP_CMP_LT", SCMP_CMP_LT},
       {"SCMP_CMP_LE", SCMP_CMP_LE},
       {"SCMP_CMP_EQ", SCMP_CMP_EQ},
       {"SCMP_CMP_GE", SCMP_CMP_GE},
       {"SCMP_CMP_GT", SCMP_CMP_GT},
       {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}}};
  const std::optional<scmp_compare> op = Find(kOperators, arg.op);
  if (!op.has_value()) return Unknown("syscalls.args.op", arg.op);
  if (arg.index > 5) {
    return absl::InvalidArgumentError(
        absl::StrCat("linux.seccomp.syscalls.args.index ", arg.index, " is above 5"));
  }
  return scmp_arg_cmp{arg.index, *op, arg.value, arg.value_two};
}

// Newer than the kernel headers that this may be built with. 5.19.
constexpr unsigned kWaitKillableRecv = 1U << 5;

// seccomp(2) looks at the flags before it looks at the program: without one it says EFAULT for
// flags that it knows and EINVAL for others.
bool KernelHas(unsigned flags) {
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, nullptr) != 0 && errno == EFAULT;
}

absl::StatusOr<unsigned> Flags(const LinuxSeccomp& profile, bool uses_notify) {
  constexpr std::array<Named<unsigned>, 4> kFlags = {
      {{"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
       {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
       {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
       {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", kWaitKillableRecv}}};
  unsigned flags = uses_notify ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
  // Without a word in the spec runc allows speculation, since the filter is not what guards against
  // it.
  if (!profile.flags.has_value()) return flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  for (const std::string& name : *profile.flags) {
    const std::optional<unsigned> flag = Find(kFlags, name);
    if (!flag.has_value()) return Unknown("flags", name);
    // It says how a listener is waited for; the kernel refuses it where there is none.
    if (*flag == kWaitKillableRecv && !uses_notify) continue;
    flags |= *flag;
    // 5.7: both together need another way to report a thread that could not follow.
    if (*flag == SECCOMP_FILTER_FLAG_TSYNC && uses_notify) flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    if (!KernelHas(flags)) {
      return absl::UnimplementedError(
          absl::StrCat("linux.seccomp.flags \"", name, "\": this kernel does not have it"));
    }
  }
  return flags;
}

struct ContextReleaser {
  void operator()(void* context) const { ::seccomp_release(context); }
};
using Context = std::unique_ptr<void, ContextReleaser>;

absl::Status AddRules(void* context, const SeccompSyscall& rule, uint32_t action,
                      uint32_t default_action) {
  // libseccomp refuses a rule that does what happens anyway.
  if (action == default_action) return absl::OkStatus();
  std::vector<scmp_arg_cmp> args;
  bool one_argument_twice = false;
  unsigned seen = 0;
  for (const SeccompArg& arg : rule.args) {
    GANTRY_ASSIGN_OR_RETURN(const scmp_arg_cmp compare, Argument(arg));
    one_argument_twice |= (seen & (1U << arg.index)) != 0;
    seen |= 1U << arg.index;
    args.push_back(compare);
  }
  for (const std::string& name : rule.names) {
    const int number = ::seccomp_syscall_resolve_name(name.c_str());
    if (number == __NR_SCMP_ERROR) continue;
    if (action == SCMP_ACT_NOTIFY && name == "write") {
      return absl::InvalidArgumentError(
          "linux.seccomp.syscalls: SCMP_ACT_NOTIFY may not be used for write, which hands the "
          "listener over");
    }
    // Comparisons are joined by "and". Two of one argument cannot be in one rule; runc takes each
    // for a rule of its own then, which makes it an "or", and profiles rely on that.
    int code = 0;
    if (one_argument_twice) {
      for (const scmp_arg_cmp& arg : args) {
        code = ::seccomp_rule_add_array(context, action, number, 1, &arg);
        if (code != 0) break;
      }
    } else {
      code = ::seccomp_rule_add_array(context, action, number, static_cast<unsigned>(args.size()),
                                      args.data());
    }
    // EDOM: not a call of one of the architectures, which libseccomp cannot express for the rest.
    if (code != 0 && code != -EDOM && code != -EEXIST) {
      return ErrnoError(-code, absl::StrCat("seccomp rule for ", name));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<sock_filter>> Export(void* context) {
  const UniqueFd memory(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!memory.valid()) return ErrnoError(errno, "create a memory file");
  if (const int code = ::seccomp_export_bpf(context, memory.get()); code != 0) {
    return ErrnoError(-code, "compile the seccomp filter");
  }
  if (::lseek(memory.get(), 0, SEEK_SET) != 0) return ErrnoError(errno, "read the seccomp filter");
  GANTRY_ASSIGN_OR_RETURN(const std::string bytes,
                          ReadFd(memory.get(), 1 << 20, "the seccomp filter"));
  std::vector<sock_filter> filter(bytes.size() / sizeof(sock_filter));
  std::memcpy(filter.data(), bytes.data(), filter.size() * sizeof(sock_filter));
  return filter;
}

}  // namespace

absl::StatusOr<SeccompProgram> CompileSeccomp(const LinuxSeccomp& profile) {
  SeccompProgram program;
  GANTRY_ASSIGN_OR_RETURN(
      const uint32_t default_action,
      Action("defaultAction", profile.default_action, profile.default_errno_ret));
  // Every call would wait for a listener, the one that hands the listener over included.
  if (default_action == SCMP_ACT_NOTIFY) {
    return absl::InvalidArgumentError("linux.seccomp.defaultAction may not be SCMP_ACT_NOTIFY");
  }
  const Context context(::seccomp_init(default_action));
  if (context == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "linux.seccomp.defaultAction \"", profile.default_action, "\" is refused by libseccomp"));
  }
  for (const std::string& name : profile.architectures) {
    GANTRY_ASSIGN_OR_RETURN(const uint32_t architecture, Architecture(name));
    if (const int code = ::seccomp_arch_add(context.get(), architecture);
        code != 0 && code != -EEXIST) {
      return ErrnoError(-code, absl::StrCat("add seccomp architecture ", name));
    }
  }
  // The container's own no_new_privs setting decides that bit, not the filter.
  ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_NNP, 0);
  // A binary tree over the calls: a few more bytes, and a third of the instructions a call runs.
  ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  for (const SeccompSyscall& rule : profile.syscalls) {
    GANTRY_ASSIGN_OR_RETURN(const uint32_t action,
                            Action("syscalls.action", rule.action, rule.errno_ret));
    program.uses_notify |= action == SCMP_ACT_NOTIFY;
    GANTRY_RETURN_IF_ERROR(AddRules(context.get(), rule, action, default_action));
  }
  GANTRY_ASSIGN_OR_RETURN(program.flags, Flags(profile, program.uses_notify));
  GANTRY_ASSIGN_OR_RETURN(const std::vector<sock_filter> filter, Export(context.get()));
  program.filter = UnknownSyscallPrologue(profile, default_action);
  program.filter.insert(program.filter.end(), filter.begin(), filter.end());
  return program;
}

}  // namespace gantry::runtime
