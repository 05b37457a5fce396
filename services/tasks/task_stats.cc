// What is answered from the container's cgroup rather than by its shim: a shim that hangs holds
// nobody up.

#include "base/log.h"
#include "base/wire.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/stats_any.h"
#include "services/tasks/task_core.h"

namespace gantry::tasks {
namespace {

absl::StatusOr<runtime::CgroupStats> StatsOf(const std::string& cgroups_path) {
  absl::StatusOr<std::unique_ptr<runtime::Cgroup>> cgroup = runtime::Cgroup::Open(cgroups_path);
  if (!cgroup.ok()) return cgroup.status();
  return (*cgroup)->Stats();
}

absl::StatusOr<std::vector<pid_t>> PidsOf(const std::string& cgroups_path) {
  absl::StatusOr<std::unique_ptr<runtime::Cgroup>> cgroup = runtime::Cgroup::Open(cgroups_path);
  if (!cgroup.ok()) return cgroup.status();
  return (*cgroup)->Pids();
}

// containerd.runc.v1.ProcessDetails{exec_id}
Any DetailsOf(const std::string& exec_id) {
  WireWriter details;
  details.Bytes(1, exec_id);
  return {"containerd.runc.v1.ProcessDetails", details.Take()};
}

}  // namespace

void TaskManager::ListPids(const std::string& ns, const std::string& id,
                           Done<std::vector<PidInfo>> done) {
  absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  core_->executor.Run([core = core_, target = *std::move(target), done = std::move(done)] {
    const absl::StatusOr<std::vector<pid_t>> pids = PidsOf(target.task->cgroups_path);
    // It is elsewhere: in a virtual machine, or in a cgroup that systemd named.
    if (!pids.ok()) return target.shim->Pids(target.task->id, done);
    std::vector<PidInfo> infos;
    {
      const std::lock_guard lock(core->mutex);
      std::map<uint32_t, const std::string*> execs;
      for (const auto& [exec_id, exec] : target.task->execs) execs[exec.state.pid] = &exec_id;
      for (const pid_t pid : *pids) {
        const auto exec = execs.find(static_cast<uint32_t>(pid));
        infos.push_back(
            {static_cast<uint32_t>(pid), exec == execs.end() ? Any() : DetailsOf(*exec->second)});
      }
    }
    done(std::move(infos));
  });
}

void TaskManager::Metrics(const std::string& ns,
                          const std::function<bool(const ProcessState&)>& wanted,
                          std::function<void(std::vector<TaskMetrics>)> done) {
  struct Gathering {
    std::mutex mutex;
    size_t missing = 0;
    std::vector<TaskMetrics> metrics;
  };
  std::vector<Core::Target> targets;
  for (const ProcessState& state : List(ns)) {
    if (!wanted(state)) continue;
    absl::StatusOr<Core::Target> target = core_->FindTarget(ns, state.container_id);
    if (target.ok()) targets.push_back(*std::move(target));
  }
  if (targets.empty()) return done({});
  const auto gathering = std::make_shared<Gathering>();
  gathering->missing = targets.size();
  for (const Core::Target& target : targets) {
    const auto add = [gathering, done, id = target.task->id](absl::StatusOr<Any> stats) {
      {
        const std::lock_guard lock(gathering->mutex);
        if (stats.ok()) gathering->metrics.push_back({id, absl::Now(), *std::move(stats)});
        if (--gathering->missing != 0) return;
      }
      done(std::move(gathering->metrics));
    };
    core_->executor.Run([target, add] {
      const absl::StatusOr<runtime::CgroupStats> stats = StatsOf(target.task->cgroups_path);
      if (stats.ok()) return add(runtime::StatsToAny(*stats));
      target.shim->Stats(target.task->id, add);
    });
  }
}

std::vector<ContainerStats> TaskManager::ReadStats() const {
  std::vector<Core::TaskPtr> tasks;
  {
    const std::lock_guard lock(core_->mutex);
    for (const auto& [key, task] : core_->tasks) {
      if (task->ready && !task->gone) tasks.push_back(task);
    }
  }
  std::vector<ContainerStats> all;
  for (const Core::TaskPtr& task : tasks) {
    absl::StatusOr<runtime::CgroupStats> stats = StatsOf(task->cgroups_path);
    if (stats.ok()) {
      all.push_back({task->ns, task->id, task->runtime, *std::move(stats)});
    }
  }
  return all;
}

TaskCounts TaskManager::Count() const {
  TaskCounts counts;
  const std::lock_guard lock(core_->mutex);
  for (const auto& [key, task] : core_->tasks) {
    if (!task->ready) continue;
    // A shim of another make may say a number that is none of the contract's.
    const auto status = static_cast<size_t>(task->init.state.status);
    ++counts.tasks[status < kStatusCount ? status : 0];
  }
  counts.shims = core_->watched.size();
  return counts;
}

void TaskManager::CallShim(const std::string& ns, const std::string& id, const std::string& method,
                           std::string payload, Done<std::string> done) {
  const absl::StatusOr<Core::Target> target = core_->FindTarget(ns, id);
  if (!target.ok()) return done(target.status());
  target->shim->Forward(method, std::move(payload), std::move(done));
}

}  // namespace gantry::tasks
