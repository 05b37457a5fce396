// The parts of TaskService that make processes and see them end.

#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "base/any.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "proto/containerd/events/task.pb.h"
#include "proto/containerd/runc/v1/oci.pb.h"
#include "shim/task_service.h"

namespace gantry::shim {

absl::Status TaskService::MakeContainer(const task::CreateTaskRequest& request, Proc& init) {
  runtime::CreateOptions options;
  options.id = request.id();
  options.bundle = request.bundle();
  bundle_ = request.bundle();
  GANTRY_ASSIGN_OR_RETURN(std::string config, ReadFile(absl::StrCat(bundle_, "/config.json")));
  GANTRY_ASSIGN_OR_RETURN(options.spec, runtime::ParseSpec(config));
  std::string().swap(config);
  options.spec.process.terminal = request.terminal();
  if (TypeUrlIs(request.options().type_url(), "containerd.runc.v1.Options")) {
    containerd::runc::v1::Options given;
    if (!given.ParseFromString(request.options().value())) {
      return absl::InvalidArgumentError("options: not a well-formed containerd.runc.v1.Options");
    }
    options.no_pivot = given.no_pivot_root();
    options.no_new_keyring = given.no_new_keyring();
  }
  for (const containerd::types::Mount& mount : request.rootfs()) {
    options.rootfs_mounts.push_back({mount.type(),
                                     mount.source(),
                                     mount.target(),
                                     {mount.options().begin(), mount.options().end()}});
  }
  GANTRY_ASSIGN_OR_RETURN(init.io, ProcessIo::Open(loop_, init.names));
  options.seccomp = &seccomp_;
  options.stdio = init.io->child_ends();
  cgroups_path_ = options.spec.linux_.cgroups_path;
  const runtime::LinuxNamespace* pid_ns =
      options.spec.linux_.FindNamespace(runtime::NamespaceType::kPid);
  kill_rest_at_exit_ = pid_ns == nullptr || !pid_ns->path.empty();
  GANTRY_ASSIGN_OR_RETURN(container_, runtime::Container::Create(std::move(options)));
  init.io->ReleaseChildEnds();
  if (UniqueFd console = container_->TakeConsole(); console.valid()) {
    GANTRY_RETURN_IF_ERROR(init.io->AttachConsole(std::move(console)));
  }
  init.pid = container_->pid();
  // Collected on SIGCHLD too; the pidfd is what cannot be missed.
  GANTRY_RETURN_IF_ERROR(loop_.Add(container_->pidfd(), EPOLLIN, [this](uint32_t) { Reap(); }));
  RecordState(init.pid);
  WatchOom();
  return absl::OkStatus();
}

void TaskService::RecordState(pid_t pid) const {
  // For whoever cleans up after a shim that was killed: it finds the processes by their cgroup, and
  // the pid is only good together with the start time.
  std::string start_time;
  if (absl::StatusOr<std::string> stat = ReadFile(absl::StrCat("/proc/", pid, "/stat"));
      stat.ok()) {
    size_t at = stat->rfind(')');
    for (int field = 2; field < 22 && at != std::string::npos; ++field)
      at = stat->find(' ', at + 1);
    if (at != std::string::npos)
      start_time = stat->substr(at + 1, stat->find(' ', at + 1) - at - 1);
  }
  const Json state = {{"init_pid", pid},
                      {"init_start_time", start_time},
                      {"cgroups_path", cgroups_path_},
                      {"shim_pid", ::getpid()}};
  for (const auto& [name, text] :
       {std::pair<const char*, std::string>{"shim.json", DumpJson(state)},
        {"init.pid", absl::StrCat(pid)}}) {
    const absl::Status written =
        WriteFileAtomic(absl::StrCat(bundle_, "/", name), text, 0644, Durability::kNotDurable);
    if (!written.ok()) LogWarn(written.message());
  }
}

absl::Status TaskService::StartExec(Proc& proc) {
  GANTRY_ASSIGN_OR_RETURN(proc.io, ProcessIo::Open(loop_, proc.names));
  GANTRY_ASSIGN_OR_RETURN(runtime::ChildProcess child,
                          container_->Exec(*proc.process, proc.io->child_ends()));
  proc.io->ReleaseChildEnds();
  proc.process.reset();
  proc.pid = child.pid;
  proc.pidfd = std::move(child.pidfd);
  proc.status = Status::kRunning;
  if (child.console.valid()) {
    GANTRY_RETURN_IF_ERROR(proc.io->AttachConsole(std::move(child.console)));
  }
  return loop_.Add(proc.pidfd.get(), EPOLLIN, [this](uint32_t) { Reap(); });
}

void TaskService::Reap() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) != 0 || info.si_pid == 0) return;
    const uint32_t exit_status = info.si_code == CLD_EXITED
                                     ? static_cast<uint32_t>(info.si_status)
                                     : 128 + static_cast<uint32_t>(info.si_status);
    if (init_ != nullptr && init_->pid == info.si_pid) {
      HandleExit(init_, exit_status);
      continue;
    }
    // Others are orphans of the container that came here because this process is a subreaper.
    for (const auto& [exec_id, proc] : execs_) {
      if (proc->pid != info.si_pid || proc->status != Status::kRunning) continue;
      HandleExit(ProcPtr(proc), exit_status);
      break;
    }
  }
}

void TaskService::HandleExit(const ProcPtr& proc, uint32_t exit_status) {
  const bool is_init = proc->exec_id.empty();
  if (proc->status == Status::kStopped) return;
  loop_.Remove(is_init ? container_->pidfd() : proc->pidfd.get());
  proc->pidfd.reset();
  proc->status = Status::kStopped;
  proc->exit_status = exit_status;
  proc->exited_at = absl::Now();
  if (is_init) paused_ = false;
  if (is_init && kill_rest_at_exit_) {
    if (absl::Status killed = container_->KillAll(SIGKILL); !killed.ok()) LogWarn(killed.message());
  }
  PublishOom();
  containerd::events::TaskExit event;
  event.set_container_id(id_);
  event.set_id(is_init ? id_ : proc->exec_id);
  event.set_pid(static_cast<uint32_t>(proc->pid));
  event.set_exit_status(exit_status);
  event.mutable_exited_at()->set_seconds(absl::ToUnixSeconds(proc->exited_at));
  event.mutable_exited_at()->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(
      proc->exited_at - absl::FromUnixSeconds(absl::ToUnixSeconds(proc->exited_at)))));
  proc->exit_event = events_.Publish("/tasks/exit", event.GetTypeName(), event.SerializeAsString());
  const std::vector<std::function<void()>> waiting = std::move(proc->on_exit);
  proc->on_exit.clear();
  for (const std::function<void()>& one : waiting) events_.WhenTold(proc->exit_event, one);
}

void TaskService::AfterExit(const ProcPtr& proc, std::function<void()> then) {
  if (proc->status == Status::kStopped) return events_.WhenTold(proc->exit_event, std::move(then));
  proc->on_exit.push_back(std::move(then));
}

void TaskService::WatchOom() {
  absl::StatusOr<UniqueFd> fd = container_->cgroup().OomEventFd();
  if (!fd.ok()) return;  // no memory controller here: nothing to watch
  oom_fd_ = *std::move(fd);
  const absl::Status added = loop_.Add(oom_fd_.get(), EPOLLIN, [this](uint32_t) {
    char buffer[4096];
    if (::read(oom_fd_.get(), buffer, sizeof buffer) <= 0) loop_.Remove(oom_fd_.get());
    PublishOom();
  });
  if (!added.ok()) LogWarn(added.message());
}

void TaskService::PublishOom() {
  if (container_ == nullptr) return;
  const absl::StatusOr<uint64_t> kills = container_->OomKills();
  if (!kills.ok() || *kills <= oom_kills_) return;
  oom_kills_ = *kills;
  containerd::events::TaskOOM event;
  event.set_container_id(id_);
  events_.Publish("/tasks/oom", event.GetTypeName(), event.SerializeAsString());
}

}  // namespace gantry::shim
