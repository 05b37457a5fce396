#include "bench/driver/container.h"

#include <signal.h>

#include "base/errors.h"

namespace gantry::bench {
namespace {

using Containers = api::containers::v1::Containers::Stub;
using Snapshots = api::snapshots::v1::Snapshots::Stub;
using Tasks = api::tasks::v1::Tasks::Stub;

constexpr char kSpecType[] = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
constexpr char kProcessType[] = "types.containerd.io/opencontainers/runtime-spec/1/Process";

}  // namespace

absl::Status BenchContainer::Prepare(const ContainerOptions& options) {
  out_ = options.out;
  err_ = options.err;
  api::snapshots::v1::PrepareSnapshotRequest snapshot;
  snapshot.set_snapshotter(client_.target.snapshotter);
  snapshot.set_key(id_);
  snapshot.set_parent(options.image_chain);
  GANTRY_ASSIGN_OR_RETURN(const auto prepared,
                          client_.Call(*client_.snapshots, &Snapshots::Prepare, snapshot));
  mounts_ = prepared.mounts();
  api::containers::v1::CreateContainerRequest request;
  api::containers::v1::Container& container = *request.mutable_container();
  container.set_id(id_);
  container.mutable_runtime()->set_name(client_.target.runtime);
  container.set_snapshotter(client_.target.snapshotter);
  container.set_snapshot_key(id_);
  container.mutable_spec()->set_type_url(kSpecType);
  container.mutable_spec()->set_value(DumpJson(SpecOf(client_.target, id_, options)));
  return client_.Call(*client_.containers, &Containers::Create, request).status();
}

absl::StatusOr<uint32_t> BenchContainer::Create() {
  api::tasks::v1::CreateTaskRequest request;
  request.set_container_id(id_);
  request.set_stdout(out_);
  request.set_stderr(err_);
  *request.mutable_rootfs() = mounts_;
  GANTRY_ASSIGN_OR_RETURN(const auto created,
                          client_.Call(*client_.tasks, &Tasks::Create, request));
  return created.pid();
}

absl::Status BenchContainer::Start(const std::string& exec_id) {
  api::tasks::v1::StartRequest request;
  request.set_container_id(id_);
  request.set_exec_id(exec_id);
  return client_.Call(*client_.tasks, &Tasks::Start, request).status();
}

absl::Status BenchContainer::Wait(uint32_t expected, const std::string& exec_id) {
  api::tasks::v1::WaitRequest request;
  request.set_container_id(id_);
  request.set_exec_id(exec_id);
  GANTRY_ASSIGN_OR_RETURN(const auto exit, client_.Call(*client_.tasks, &Tasks::Wait, request));
  if (exit.exit_status() == expected) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("container ", id_, " ended with ", exit.exit_status(),
                                          " and not with ", expected));
}

absl::Status BenchContainer::Kill() {
  api::tasks::v1::KillRequest request;
  request.set_container_id(id_);
  request.set_signal(SIGKILL);
  request.set_all(true);
  return client_.Call(*client_.tasks, &Tasks::Kill, request).status();
}

absl::Status BenchContainer::Delete() {
  api::tasks::v1::DeleteTaskRequest request;
  request.set_container_id(id_);
  return client_.Call(*client_.tasks, &Tasks::Delete, request).status();
}

absl::Status BenchContainer::Exec(const std::string& exec_id, const std::vector<std::string>& args,
                                  const std::string& out) {
  api::tasks::v1::ExecProcessRequest request;
  request.set_container_id(id_);
  request.set_exec_id(exec_id);
  request.set_stdout(out);
  request.mutable_spec()->set_type_url(kProcessType);
  request.mutable_spec()->set_value(DumpJson(ProcessOf(args)));
  return client_.Call(*client_.tasks, &Tasks::Exec, request).status();
}

absl::Status BenchContainer::DeleteExec(const std::string& exec_id) {
  api::tasks::v1::DeleteProcessRequest request;
  request.set_container_id(id_);
  request.set_exec_id(exec_id);
  return client_.Call(*client_.tasks, &Tasks::DeleteProcess, request).status();
}

absl::Status BenchContainer::Remove() {
  api::containers::v1::DeleteContainerRequest request;
  request.set_id(id_);
  const absl::Status deleted =
      client_.Call(*client_.containers, &Containers::Delete, request).status();
  api::snapshots::v1::RemoveSnapshotRequest snapshot;
  snapshot.set_snapshotter(client_.target.snapshotter);
  snapshot.set_key(id_);
  const absl::Status removed =
      client_.Call(*client_.snapshots, &Snapshots::Remove, snapshot).status();
  if (!deleted.ok()) return deleted;
  // Nothing refers to it any more, so a collection may have been faster.
  return absl::IsNotFound(removed) ? absl::OkStatus() : removed;
}

}  // namespace gantry::bench
