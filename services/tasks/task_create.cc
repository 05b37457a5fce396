#include <sys/syscall.h>
#include <unistd.h>

#include "base/errors.h"
#include "base/fault_point.h"
#include "base/identifiers.h"
#include "base/log.h"
#include "base/start_trace.h"
#include "services/tasks/task_core.h"

namespace gantry::tasks {
namespace {

absl::Status CreateError(const absl::Status& status) {
  return Annotate(status, "failed to create shim task");
}

}  // namespace

// On the executor.
void TaskManager::Core::Create(const std::string& ns, const CreateTask& request,
                               const Done<uint32_t>& done) {
  TraceStart(request.id, "change to the executor");
  if (absl::Status valid = ValidateIdentifier("container id", request.id); !valid.ok()) {
    return done(valid);
  }
  if (request.from_checkpoint) {
    return done(absl::UnimplementedError(
        absl::StrCat("task ", request.id, ": create from a checkpoint is not supported")));
  }
  absl::StatusOr<ContainerInfo> container = options.find_container(ns, request.id);
  if (!container.ok()) return done(container.status());
  TraceStart(request.id, "read the container's record");
  const std::string& runtime =
      request.runtime_path.empty() ? container->runtime_name : request.runtime_path;
  const Any& runtime_options =
      request.options.type_url.empty() ? container->runtime_options : request.options;
  absl::StatusOr<std::string> binary = options.runtimes.Resolve(runtime, runtime_options);
  if (!binary.ok()) return done(CreateError(binary.status()));
  absl::StatusOr<std::string> cgroups_path = CgroupsPathOf(container->spec.value);
  if (!cgroups_path.ok()) return done(CreateError(cgroups_path.status()));

  absl::StatusOr<TaskPtr> reserved = Reserve(ns, request);
  if (!reserved.ok()) return done(reserved.status());
  const TaskPtr task = *std::move(reserved);
  // Where the runtime puts it, too, if the spec does not say.
  task->cgroups_path = cgroups_path->empty() ? "/" + request.id : *std::move(cgroups_path);
  task->runtime = container->runtime_name;

  absl::Status prepared = bundles.Create(ns, request.id, container->spec.value).status();
  if (prepared.ok()) prepared = FaultPoint("tasks.create.bundle");
  TraceStart(request.id, "write the bundle");
  if (prepared.ok()) {
    absl::StatusOr<LaunchedShim> launched =
        launcher.Launch({ns, request.id, task->bundle, *binary, runtime_options});
    prepared = launched.status();
    if (launched.ok()) TakeShim(*task, *std::move(launched));
    if (prepared.ok()) prepared = FaultPoint("tasks.create.launched");
  }
  if (!prepared.ok()) {
    Undo(task, false);
    return done(CreateError(prepared));
  }
  Watch(task);
  TraceStart(request.id, "start and find the shim");

  Shim::CreateRequest create;
  create.id = request.id;
  create.bundle = task->bundle;
  create.rootfs = request.rootfs;
  for (Mount& mount : create.rootfs) {
    if (!mount.target.empty()) continue;
    mount.options.insert(mount.options.begin(), container->root_options.begin(),
                         container->root_options.end());
  }
  create.io = request.io;
  create.options = runtime_options;
  task->shim->Create(create, [core = shared_from_this(), task, done](absl::StatusOr<uint32_t> pid) {
    if (pid.ok()) return core->Created(task, *pid, done);
    // The rest touches the disk, which the loop's thread must not wait for.
    core->executor.Run([core, task, done, status = pid.status()] {
      core->Undo(task, absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status));
      done(CreateError(status));
    });
  });
}

absl::StatusOr<TaskManager::Core::TaskPtr> TaskManager::Core::Reserve(const std::string& ns,
                                                                      const CreateTask& request) {
  auto task = std::make_shared<Task>();
  task->ns = ns;
  task->id = request.id;
  task->bundle = bundles.Path(ns, request.id);
  task->init.state.container_id = request.id;
  task->init.state.io = request.io;
  task->init.state.status = Status::kCreated;
  const std::lock_guard lock(mutex);
  if (!tasks.emplace(Key(ns, request.id), task).second) {
    return absl::AlreadyExistsError(absl::StrCat("task ", request.id, ": already exists"));
  }
  return task;
}

void TaskManager::Core::Created(const TaskPtr& task, uint32_t pid, const Done<uint32_t>& done) {
  FaultPoint("tasks.create.created").IgnoreError();
  // For the case that the shim dies and leaves it behind. The shim reaps it, but a number that has
  // just been given away is not given again for a long while.
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  bool gone = false;
  {
    const std::lock_guard lock(mutex);
    task->init.state.pid = pid;
    task->init_pidfd = std::move(pidfd);
    task->ready = true;
    gone = task->gone;
  }
  if (gone) Bury(task, [] {});
  TraceStart(task->id, "receive the answer to Create");
  done(pid);
  WaitInShim(task, "");
}

void TaskManager::Core::Undo(const TaskPtr& task, bool shim_failed) {
  {
    const std::lock_guard lock(mutex);
    task->retired = true;
  }
  if (task->shim != nullptr) KillShimAndWait(task);
  // A shim that answered has cleaned up itself; and if it refused because the cgroup is another
  // container's, that one must live.
  if (shim_failed && !task->cgroups_path.empty()) options.clean_cgroup(task->cgroups_path);
  if (shim_failed) {
    launcher.CleanUp(task->ns, task->id, task->bundle).status().IgnoreError();
  } else {
    launcher.Forget(task->ns, task->id, task->bundle);
  }
  if (absl::Status removed = bundles.Remove(task->ns, task->id); !removed.ok()) {
    LogWarn(
        "remove the bundle of a failed task",
        {{"namespace", task->ns}, {"task", task->id}, {"error", std::string(removed.message())}});
  }
  const std::lock_guard lock(mutex);
  tasks.erase({task->ns, task->id});
}

}  // namespace gantry::tasks
