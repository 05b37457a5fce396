#include "runtime/process/namespace_plan.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>

#include "base/errors.h"
#include "base/file.h"
#include "runtime/process/id_mapping.h"
#include "runtime/process/process_plan.h"

namespace gantry::runtime {
namespace {

absl::StatusOr<UniqueFd> OpenNamespace(const LinuxNamespace& ns) {
  absl::StatusOr<UniqueFd> fd = OpenFile(ns.path, O_RDONLY);
  if (fd.ok()) return fd;
  return Annotate(WithCode(fd.status(), absl::StatusCode::kInvalidArgument),
                  absl::StrCat("linux.namespaces: ", NamespaceName(ns.type)));
}

absl::Status PlanJoin(const LinuxNamespace& ns, PlanBuilder* plan) {
  GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, OpenNamespace(ns));
  plan->Add(SetNamespace, absl::StrCat("join the ", NamespaceName(ns.type), " namespace"), ns.path,
            SetNamespaceArgs{fd.get(), static_cast<int>(NamespaceFlag(ns.type))});
  plan->KeepFd(std::move(fd));
  return absl::OkStatus();
}

// Those that are not made by clone3: the cgroup namespace's root is where the process is when it
// makes it, and the clocks of a time namespace cannot be set once a process is in it.
bool MadeLater(const LinuxNamespace& ns, const Linux& spec) {
  return ns.type == NamespaceType::kCgroup ||
         (ns.type == NamespaceType::kTime && !spec.time_offsets.empty());
}

absl::Status PlanTime(const Linux& spec, PlanBuilder* plan) {
  if (spec.time_offsets.empty()) return absl::OkStatus();
  const LinuxNamespace* ns = spec.FindNamespace(NamespaceType::kTime);
  if (ns == nullptr || !ns->path.empty()) {
    return absl::InvalidArgumentError(
        "linux.timeOffsets: time namespace offsets specified, but no new time namespace is in the "
        "config");
  }
  std::string text;
  for (const TimeOffset& offset : spec.time_offsets) {
    absl::StrAppend(&text, offset.clock, " ", offset.seconds, " ", offset.nanoseconds, "\n");
  }
  plan->Add(EnterNewTime, "make a time namespace with offsets", text,
            TextArgs{plan->Text(text), text.size()});
  return absl::OkStatus();
}

}  // namespace

absl::Status PlanNamespaces(const Spec& spec, SpawnOptions* spawn, PlanBuilder* plan) {
  const Linux& linux_spec = spec.linux_;
  const LinuxNamespace* user = linux_spec.FindNamespace(NamespaceType::kUser);
  uint64_t made = 0;
  std::vector<const LinuxNamespace*> joined;
  for (const LinuxNamespace& ns : linux_spec.namespaces) {
    if (ns.path.empty()) {
      if (!MadeLater(ns, linux_spec)) made |= NamespaceFlag(ns.type);
    } else if (ns.type == NamespaceType::kPid) {
      GANTRY_ASSIGN_OR_RETURN(UniqueFd fd, OpenNamespace(ns));
      spawn->pid_namespace = fd.get();
      plan->KeepFd(std::move(fd));
    } else if (ns.type != NamespaceType::kUser) {
      joined.push_back(&ns);
    }
  }
  const bool joins_user = user != nullptr && !user->path.empty();
  spawn->clones_again = joins_user || (user != nullptr && !joined.empty());
  if (!spawn->clones_again) plan->Add(WaitForGo, "wait for", "the runtime");
  plan->Add(PrepareProcess, "prepare", "the process");
  if (user == nullptr && spec.process.oom_score_adj.has_value()) {
    PlanOomScore(*spec.process.oom_score_adj, plan);
  }
  for (const LinuxNamespace* ns : joined) GANTRY_RETURN_IF_ERROR(PlanJoin(*ns, plan));
  if (spawn->clones_again) {
    if (joins_user) GANTRY_RETURN_IF_ERROR(PlanJoin(*user, plan));
    plan->Add(CloneAgain, "clone with", "the container's namespaces", CloneArgs{made});
    plan->Add(WaitForGo, "wait for", "the runtime");
  } else {
    spawn->clone_flags |= made;
  }
  const LinuxNamespace* cgroup = linux_spec.FindNamespace(NamespaceType::kCgroup);
  if (cgroup != nullptr && cgroup->path.empty()) {
    plan->Add(Unshare, "make a namespace of type", "cgroup", UnshareArgs{CLONE_NEWCGROUP});
  }
  return PlanTime(linux_spec, plan);
}

absl::Status PlanNames(const Spec& spec, PlanBuilder* plan) {
  if (spec.hostname.empty() && spec.domainname.empty()) return absl::OkStatus();
  if (spec.linux_.FindNamespace(NamespaceType::kUts) == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        spec.hostname.empty() ? "domainname" : "hostname",
        ": needs a uts namespace of the container's own, else it would be set on the host"));
  }
  if (!spec.hostname.empty()) {
    plan->Add(SetHostname, "set the host name to", spec.hostname,
              TextArgs{plan->Text(spec.hostname), spec.hostname.size()});
  }
  if (!spec.domainname.empty()) {
    plan->Add(SetDomainname, "set the domain name to", spec.domainname,
              TextArgs{plan->Text(spec.domainname), spec.domainname.size()});
  }
  return absl::OkStatus();
}

absl::Status PrepareUserNamespace(pid_t pid, const Spec& spec) {
  const Linux& linux_spec = spec.linux_;
  const LinuxNamespace* user = linux_spec.FindNamespace(NamespaceType::kUser);
  if (user == nullptr) return absl::OkStatus();
  if (user->path.empty()) {
    GANTRY_RETURN_IF_ERROR(WriteMappings(pid, linux_spec.uid_mappings, linux_spec.gid_mappings));
  }
  if (const std::optional<int>& score = spec.process.oom_score_adj; score.has_value()) {
    GANTRY_ASSIGN_OR_RETURN(const UniqueFd file,
                            OpenFile(absl::StrCat("/proc/", pid, "/oom_score_adj"), O_WRONLY));
    GANTRY_RETURN_IF_ERROR(WriteAll(file.get(), absl::StrCat(*score), "oom_score_adj"));
  }
  return RaiseHardLimits(pid, spec.process.rlimits);
}

absl::Status RaiseHardLimits(pid_t pid, const std::vector<Rlimit>& limits) {
  for (const Rlimit& wanted : limits) {
    const auto resource = static_cast<__rlimit_resource>(wanted.resource);
    struct rlimit limit {};
    if (::prlimit(pid, resource, nullptr, &limit) != 0) {
      return ErrnoError(errno, absl::StrCat("read resource limit ", wanted.resource));
    }
    if (limit.rlim_max >= wanted.hard) continue;
    limit.rlim_max = wanted.hard;
    if (::prlimit(pid, resource, &limit, nullptr) != 0) {
      return ErrnoError(errno, absl::StrCat("raise resource limit ", wanted.resource));
    }
  }
  return absl::OkStatus();
}

}  // namespace gantry::runtime
