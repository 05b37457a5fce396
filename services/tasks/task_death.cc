#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/log.h"
#include "services/tasks/task_core.h"

namespace gantry::tasks {
namespace {

constexpr uint32_t kKilled = 128 + SIGKILL;
constexpr int kKillWaitMillis = 5000;
constexpr absl::Duration kEventGrace = absl::Milliseconds(500);

void SignalByPidfd(const UniqueFd& pidfd, int signal) {
  // ESRCH: ended already, which is what is wanted.
  if (pidfd.valid()) ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
}

}  // namespace

void TaskManager::Core::Watch(const TaskPtr& task) {
  // Weak both: what is left in the loop when the daemon ends must own nothing.
  const std::weak_ptr<Core> weak_core = weak_from_this();
  const std::weak_ptr<Task> weak_task = task;
  {
    const std::lock_guard lock(mutex);
    watched.insert(task);
  }
  task->shim->OnClose([weak_core, weak_task] {
    const std::shared_ptr<Core> core = weak_core.lock();
    const TaskPtr task = weak_task.lock();
    if (core == nullptr || task == nullptr) return;
    core->ShimGone(task);
    const std::lock_guard lock(core->mutex);
    if (!task->shim_pidfd.valid()) core->watched.erase(task);
  });
  loop.Post([weak_core, weak_task] {
    const std::shared_ptr<Core> core = weak_core.lock();
    const TaskPtr task = weak_task.lock();
    if (core != nullptr && task != nullptr) core->WatchPidfd(task);
  });
}

void TaskManager::Core::WatchPidfd(const TaskPtr& task) {
  const int fd = task->shim_pidfd.get();
  if (fd < 0) return;  // a program's shim that did not tell its pid
  const std::weak_ptr<Core> weak_core = weak_from_this();
  const std::weak_ptr<Task> weak_task = task;
  const absl::Status added = loop.Add(fd, EPOLLIN, [weak_core, weak_task, fd](uint32_t) {
    const std::shared_ptr<Core> core = weak_core.lock();
    const TaskPtr task = weak_task.lock();
    if (core == nullptr || task == nullptr) return;
    core->loop.Remove(fd);
    {
      const std::lock_guard lock(core->mutex);
      task->shim_pidfd.reset();
    }
    // Events that the shim sent before its end are in a socket of this same loop, ready by now:
    // one more round lets them come first.
    core->loop.Post([weak_core, weak_task] {
      const std::shared_ptr<Core> core = weak_core.lock();
      const TaskPtr task = weak_task.lock();
      if (core == nullptr || task == nullptr) return;
      core->ShimGone(task);
      const std::lock_guard lock(core->mutex);
      core->watched.erase(task);
    });
  });
  if (added.ok()) return;
  LogWarn("watch a shim",
          {{"namespace", task->ns}, {"task", task->id}, {"error", std::string(added.message())}});
  const std::lock_guard lock(mutex);
  watched.erase(task);
}

void TaskManager::Core::ShimGone(const TaskPtr& task) {
  {
    const std::lock_guard lock(mutex);
    if (task->gone || task->retired) return;
    task->gone = true;
    // Not yet answered: Create sees that the shim is gone, and undoes or buries.
    if (!task->ready) return;
  }
  LogWarn("a shim ended unexpectedly", {{"namespace", task->ns}, {"task", task->id}});
  Bury(task, [] {});
}

void TaskManager::Core::WaitInShim(const TaskPtr& task, const std::string& exec_id) {
  if (task->address.binary.empty()) return;  // gantry's own tells before it does anything else
  task->shim->Wait(task->id, exec_id,
                   [weak_core = weak_from_this(), weak_task = std::weak_ptr<Task>(task),
                    exec_id](const absl::StatusOr<gantry::tasks::Exit>& exit) {
                     const std::shared_ptr<Core> core = weak_core.lock();
                     if (core == nullptr || !exit.ok()) return;
                     // Its event is under way, mostly; waiters hear after subscribers.
                     core->loop.After(kEventGrace, [weak_core, weak_task, exec_id, exit = *exit] {
                       const std::shared_ptr<Core> core = weak_core.lock();
                       const TaskPtr task = weak_task.lock();
                       if (core != nullptr && task != nullptr)
                         core->ExitedUnheard(task, exec_id, exit);
                     });
                   });
}

void TaskManager::Core::ExitedUnheard(const TaskPtr& task, const std::string& exec_id,
                                      const gantry::tasks::Exit& exit) {
  std::vector<std::function<void()>> answers;
  std::vector<ProcessExit> events;
  {
    const std::lock_guard lock(mutex);
    Process* process = task->Find(exec_id);
    if (process == nullptr) return;
    answers = RecordExit(*process, {process->state.pid, exit.status, exit.at});
    TakeAnnouncement(*task, *process, &events);
  }
  executor.Run(
      [core = shared_from_this(), events = std::move(events), answers = std::move(answers)] {
        for (const ProcessExit& event : events) core->sink.TaskExited(event);
        for (const std::function<void()>& answer : answers) answer();
      });
}

void TaskManager::Core::Bury(const TaskPtr& task, std::function<void()> then) {
  {
    const std::lock_guard lock(mutex);
    task->gone = true;
    if (!task->buried) {
      task->after_burial.push_back(std::move(then));
      if (task->burying) return;
      task->burying = true;
      executor.Run([core = shared_from_this(), task] { core->BuryNow(task); });
      return;
    }
  }
  then();
}

void TaskManager::Core::BuryNow(const TaskPtr& task) {
  // Only its connection may have ended; a shim that nobody can ask is of no use.
  KillShimAndWait(task);
  {
    const std::lock_guard lock(mutex);
    SignalByPidfd(task->init_pidfd, SIGKILL);
  }
  if (!task->cgroups_path.empty()) options.clean_cgroup(task->cgroups_path);
  const absl::StatusOr<gantry::tasks::Exit> told =
      launcher.CleanUp(task->ns, task->id, task->bundle);
  const uint32_t status = told.ok() && told->status != 0 ? told->status : kKilled;

  std::vector<std::function<void()>> answers;
  std::vector<ProcessExit> events;
  std::vector<std::function<void()>> after;
  {
    const std::lock_guard lock(mutex);
    const absl::Time now = absl::Now();
    const auto end = [&](Process& process) {
      const bool ran = process.state.pid != 0;
      for (auto& answer : RecordExit(process, {process.state.pid, status, now})) {
        answers.push_back(std::move(answer));
      }
      // An exec that was added and never started has no exit to tell.
      if (ran) TakeAnnouncement(*task, process, &events);
    };
    for (auto& [id, exec] : task->execs) end(exec);
    end(task->init);
    task->buried = true;
    after.swap(task->after_burial);
  }
  for (const ProcessExit& event : events) sink.TaskExited(event);
  for (const std::function<void()>& answer : answers) answer();
  for (const std::function<void()>& then : after) then();
}

void TaskManager::Core::KillShim(const TaskPtr& task) {
  const std::lock_guard lock(mutex);
  if (IsShared(*task)) return;
  SignalByPidfd(task->shim_pidfd, SIGKILL);
}

void TaskManager::Core::KillShimAndWait(const TaskPtr& task) {
  UniqueFd pidfd;
  {
    // The loop closes the descriptor when the shim has ended: wait on one of our own.
    const std::lock_guard lock(mutex);
    if (!task->shim_pidfd.valid() || IsShared(*task)) return;
    SignalByPidfd(task->shim_pidfd, SIGKILL);
    pidfd.reset(::fcntl(task->shim_pidfd.get(), F_DUPFD_CLOEXEC, 3));
  }
  if (!pidfd.valid()) return;
  pollfd ended = {pidfd.get(), POLLIN, 0};
  while (::poll(&ended, 1, kKillWaitMillis) < 0 && errno == EINTR) {
  }
}

// On the loop's thread.
void TaskManager::Core::LetGoIfShared(const TaskPtr& task) {
  UniqueFd pidfd;
  {
    const std::lock_guard lock(mutex);
    if (!IsShared(*task)) return;
    pidfd = std::move(task->shim_pidfd);
    watched.erase(task);
  }
  if (pidfd.valid()) loop.Remove(pidfd.get());
}

void TaskManager::Core::Retire(const TaskPtr& task) {
  {
    const std::lock_guard lock(mutex);
    task->retired = true;
    if (task->gone || (!task->shim_pidfd.valid() && task->address.binary.empty())) return;
  }
  // The answer does not count: the pidfd tells, and the timer sees to a shim that stays. One that
  // lives on with other tasks is let go.
  task->shim->Shutdown(task->id, false, [core = shared_from_this(), task](const absl::Status&) {
    if (!task->address.binary.empty()) core->LetGoIfShared(task);
  });
  loop.Post([core = shared_from_this(), task = std::weak_ptr<Task>(task)] {
    // The watch of the pidfd keeps the task until the shim has ended.
    core->loop.After(core->options.shutdown_timeout, [weak = core->weak_from_this(), task] {
      const std::shared_ptr<Core> core = weak.lock();
      const TaskPtr alive = task.lock();
      if (core != nullptr && alive != nullptr) core->KillShim(alive);
    });
  });
}

}  // namespace gantry::tasks
