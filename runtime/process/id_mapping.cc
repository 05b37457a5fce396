#include "runtime/process/id_mapping.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/file.h"

namespace gantry::runtime {
namespace {

// What the kernel takes in one map (user_namespaces(7)).
constexpr size_t kMaxRanges = 340;

bool Overlap(uint32_t first, uint32_t first_size, uint32_t second, uint32_t second_size) {
  return uint64_t{first} < uint64_t{second} + second_size &&
         uint64_t{second} < uint64_t{first} + first_size;
}

absl::Status CheckRanges(const char* field, const std::vector<IdMapping>& mappings) {
  if (mappings.size() > kMaxRanges) {
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": ", mappings.size(), " ranges, the kernel takes ", kMaxRanges));
  }
  for (size_t i = 0; i < mappings.size(); ++i) {
    const IdMapping& one = mappings[i];
    const uint64_t end = uint64_t{std::max(one.container_id, one.host_id)} + one.size;
    // The last number means "no id".
    if (end > UINT32_MAX) {
      return absl::InvalidArgumentError(absl::StrCat(field, "[", i, "]: ends above 4294967294"));
    }
    for (size_t j = 0; j < i; ++j) {
      const IdMapping& other = mappings[j];
      if (!Overlap(one.container_id, one.size, other.container_id, other.size) &&
          !Overlap(one.host_id, one.size, other.host_id, other.size)) {
        continue;
      }
      return absl::InvalidArgumentError(
          absl::StrCat(field, "[", i, "]: overlaps with ", field, "[", j, "]"));
    }
  }
  return absl::OkStatus();
}

bool HasCapability(int capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) return false;
  return (data[0].effective >> capability & 1) != 0;
}

// A map that the kernel takes from anyone: the caller's own id, once.
bool IsOwn(const std::vector<IdMapping>& mappings, uint32_t own) {
  return mappings.size() == 1 && mappings[0].size == 1 && mappings[0].host_id == own;
}

absl::Status WriteProcFile(pid_t pid, const char* name, const std::string& text) {
  const std::string path = absl::StrCat("/proc/", pid, "/", name);
  GANTRY_ASSIGN_OR_RETURN(const UniqueFd file, OpenFile(path, O_WRONLY));
  // The kernel takes a map in one write.
  if (::write(file.get(), text.data(), text.size()) < 0) {
    return ErrnoError(errno, absl::StrCat("write ", path));
  }
  return absl::OkStatus();
}

absl::Status RunHelper(const char* program, pid_t pid, const std::vector<IdMapping>& mappings) {
  std::vector<std::string> args = {program, absl::StrCat(pid)};
  for (const IdMapping& one : mappings) {
    args.push_back(absl::StrCat(one.container_id));
    args.push_back(absl::StrCat(one.host_id));
    args.push_back(absl::StrCat(one.size));
  }
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  pid_t helper = -1;
  const int error = ::posix_spawnp(&helper, program, nullptr, nullptr, argv.data(), environ);
  if (error != 0) return ErrnoError(error, absl::StrCat("execute ", program));
  int status = 0;
  while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      program, " refused the mappings; are the ranges in /etc/subuid and /etc/subgid?"));
}

absl::Status WriteMap(pid_t pid, const char* name, const char* helper, bool by_hand,
                      const std::vector<IdMapping>& mappings) {
  if (!by_hand) return RunHelper(helper, pid, mappings);
  std::string text;
  for (const IdMapping& one : mappings) {
    absl::StrAppend(&text, one.container_id, " ", one.host_id, " ", one.size, "\n");
  }
  return WriteProcFile(pid, name, text);
}

// A child in a new user namespace that waits to be killed.
class Placeholder {
 public:
  static absl::StatusOr<Placeholder> Create() {
    int pidfd = -1;
    struct {
      uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
    } args{};
    args.flags = CLONE_NEWUSER | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    const pid_t parent = ::getpid();
    const long pid = ::syscall(SYS_clone3, &args, sizeof args);
    if (pid == 0) {
      // Only system calls: the parent may have threads.
      ::syscall(SYS_prctl, 1 /* PR_SET_PDEATHSIG */, SIGKILL, 0, 0, 0);
      while (::syscall(SYS_getppid) == parent) ::syscall(SYS_pause);
      ::syscall(SYS_exit_group, 0);
    }
    if (pid < 0) return ErrnoError(errno, "make a user namespace");
    return Placeholder(static_cast<pid_t>(pid), UniqueFd(pidfd));
  }
  Placeholder(Placeholder&&) = default;
  Placeholder& operator=(Placeholder&&) = delete;
  ~Placeholder() {
    if (!pidfd_.valid()) return;
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED) < 0 &&
           errno == EINTR) {
    }
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  Placeholder(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  pid_t pid_;
  UniqueFd pidfd_;
};

}  // namespace

std::optional<uint32_t> ToHostId(const std::vector<IdMapping>& mappings, uint32_t id) {
  for (const IdMapping& one : mappings) {
    if (id >= one.container_id && id - one.container_id < one.size) {
      return one.host_id + (id - one.container_id);
    }
  }
  return std::nullopt;
}

UserNamespace UserNamespaceOf(const Linux& spec) {
  return UserNamespace{spec.FindNamespace(NamespaceType::kUser) != nullptr, &spec.uid_mappings,
                       &spec.gid_mappings};
}

absl::Status CheckMappings(const Linux& spec, const User& user) {
  const LinuxNamespace* ns = spec.FindNamespace(NamespaceType::kUser);
  if (ns == nullptr) {
    if (spec.uid_mappings.empty() && spec.gid_mappings.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "linux.uidMappings: user namespace mappings specified, but USER namespace isn't enabled in "
        "the config");
  }
  GANTRY_RETURN_IF_ERROR(CheckRanges("linux.uidMappings", spec.uid_mappings));
  GANTRY_RETURN_IF_ERROR(CheckRanges("linux.gidMappings", spec.gid_mappings));
  // One that is joined has its mappings already.
  if (!ns->path.empty()) return absl::OkStatus();
  if (spec.uid_mappings.empty() || spec.gid_mappings.empty()) {
    const char* field = spec.uid_mappings.empty() ? "uid" : "gid";
    return absl::InvalidArgumentError(absl::StrCat(
        "linux.", field, "Mappings: user namespaces enabled, but no ", field, " mapping found"));
  }
  const auto check = [](const char* field, const std::vector<IdMapping>& mappings,
                        uint32_t id) -> absl::Status {
    if (ToHostId(mappings, id).has_value()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(field, ": ", id, " has no id on the host"));
  };
  GANTRY_RETURN_IF_ERROR(check("linux.uidMappings", spec.uid_mappings, 0));
  GANTRY_RETURN_IF_ERROR(check("linux.gidMappings", spec.gid_mappings, 0));
  GANTRY_RETURN_IF_ERROR(check("process.user.uid", spec.uid_mappings, user.uid));
  GANTRY_RETURN_IF_ERROR(check("process.user.gid", spec.gid_mappings, user.gid));
  for (const gid_t gid : user.additional_gids) {
    GANTRY_RETURN_IF_ERROR(check("process.user.additionalGids", spec.gid_mappings, gid));
  }
  return absl::OkStatus();
}

bool MappingsForbidSetgroups(const std::vector<IdMapping>& gids) {
  return !HasCapability(CAP_SETGID) && IsOwn(gids, ::getegid());
}

absl::Status WriteMappings(pid_t pid, const std::vector<IdMapping>& uids,
                           const std::vector<IdMapping>& gids) {
  if (MappingsForbidSetgroups(gids)) {
    GANTRY_RETURN_IF_ERROR(WriteProcFile(pid, "setgroups", "deny"));
  }
  GANTRY_RETURN_IF_ERROR(WriteMap(pid, "uid_map", "newuidmap",
                                  HasCapability(CAP_SETUID) || IsOwn(uids, ::geteuid()), uids));
  return WriteMap(pid, "gid_map", "newgidmap",
                  HasCapability(CAP_SETGID) || IsOwn(gids, ::getegid()), gids);
}

absl::StatusOr<UniqueFd> MakeUserNamespace(const std::vector<IdMapping>& uids,
                                           const std::vector<IdMapping>& gids) {
  GANTRY_ASSIGN_OR_RETURN(const Placeholder placeholder, Placeholder::Create());
  GANTRY_RETURN_IF_ERROR(WriteMappings(placeholder.pid(), uids, gids));
  return OpenFile(absl::StrCat("/proc/", placeholder.pid(), "/ns/user"), O_RDONLY);
}

}  // namespace gantry::runtime
