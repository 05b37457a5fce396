#include "runtime/process/scheduling.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/errors.h"

namespace gantry::runtime {
namespace {

// As the kernel takes it; linux/sched/types.h clashes with glibc's own. 48 bytes is the first size.
struct SchedAttr {
  uint32_t size = sizeof(SchedAttr);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0;
  uint64_t deadline = 0;
  uint64_t period = 0;
};
static_assert(sizeof(SchedAttr) == 48);

constexpr int kWhoProcess = 1;  // IOPRIO_WHO_PROCESS

BitSetArgs ToArgs(const BitSet& bits, PlanBuilder* plan) {
  return BitSetArgs{plan->KeepArray(bits.data(), bits.size()), bits.size()};
}

}  // namespace

absl::Status ApplyScheduling(pid_t pid, const Process& process) {
  if (process.scheduler.has_value()) {
    const Scheduler& wanted = *process.scheduler;
    SchedAttr attributes;
    attributes.policy = wanted.policy;
    attributes.flags = wanted.flags;
    attributes.nice = wanted.nice;
    attributes.priority = wanted.priority;
    attributes.runtime = wanted.runtime_ns;
    attributes.deadline = wanted.deadline_ns;
    attributes.period = wanted.period_ns;
    if (::syscall(SYS_sched_setattr, pid, &attributes, 0) != 0) {
      return ErrnoError(errno, "process.scheduler: set the scheduler");
    }
  }
  if (process.io_priority.has_value() &&
      ::syscall(SYS_ioprio_set, kWhoProcess, pid, *process.io_priority) != 0) {
    return ErrnoError(errno, "process.ioPriority: set the I/O priority");
  }
  return absl::OkStatus();
}

void PlanExecutionDomain(const Linux& spec, PlanBuilder* plan) {
  if (spec.personality.has_value()) {
    plan->Add(SetPersonality, "set the", "personality", PersonalityArgs{*spec.personality});
  }
  if (spec.memory_policy.has_value()) {
    plan->Add(SetMemoryPolicy, "set the", "memory policy",
              MemoryPolicyArgs{spec.memory_policy->mode, ToArgs(spec.memory_policy->nodes, plan)});
  }
}

void PlanFinalAffinity(const CpuAffinity& affinity, PlanBuilder* plan) {
  if (affinity.final.empty()) return;
  plan->Add(SetAffinity, "set the", "final CPU affinity", ToArgs(affinity.final, plan));
}

void PlanInitialAffinity(const CpuAffinity& affinity, PlanBuilder* plan) {
  if (affinity.initial.empty()) return;
  plan->AddFirst(SetAffinity, "set the", "initial CPU affinity", ToArgs(affinity.initial, plan));
}

}  // namespace gantry::runtime
