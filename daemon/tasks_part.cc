#include "daemon/tasks_part.h"

#include <unistd.h>

#include <climits>

#include "base/errors.h"

namespace gantry::daemon {
namespace {

bool IsVerbose(const Config& config) {
  return config.log_level == "debug" || config.log_level == "trace";
}

std::string OwnProgram() {
  char path[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<size_t>(length)) : "gantryd";
}

// The part of a container's record that tasks are made from.
absl::StatusOr<tasks::ContainerInfo> FindContainer(const containers::Containers& containers,
                                                   snapshots::OverlaySnapshotter* overlayfs,
                                                   const std::string& ns, const std::string& id) {
  GANTRY_ASSIGN_OR_RETURN(containers::Container container, containers.Get(ns, id));
  tasks::ContainerInfo info{.runtime_name = std::move(container.runtime_name),
                            .runtime_options = std::move(container.runtime_options),
                            .spec = std::move(container.spec)};
  if (overlayfs != nullptr && container.snapshotter == "overlayfs" &&
      !container.snapshot_key.empty()) {
    absl::StatusOr<std::vector<std::string>> map =
        overlayfs->IdMapOf(snapshots::Scope{ns, ""}, container.snapshot_key);
    // Whether the task can do without its snapshot is not for here to say: the client has the
    // mounts.
    if (map.ok()) info.root_options = *std::move(map);
  }
  return info;
}

}  // namespace

TasksPart::TasksPart(const Shared& shared, EventLoop& loop, runtime::ZygoteClient& zygote,
                     const containers::Containers& containers,
                     snapshots::OverlaySnapshotter* overlayfs)
    : own_shims_(loop, zygote, shared.config.state, shared.config.TtrpcAddress(),
                 IsVerbose(shared.config)),
      other_shims_(loop, {.grpc_address = shared.config.grpc.address,
                          .ttrpc_address = shared.config.TtrpcAddress(),
                          .program = OwnProgram(),
                          .debug = IsVerbose(shared.config)}),
      events_(shared.publisher),
      manager_(loop, shared.disk, launcher_, events_,
               {.state_dir = shared.config.state,
                .find_container =
                    [&containers, overlayfs](const std::string& ns, const std::string& id) {
                      return FindContainer(containers, overlayfs, ns, id);
                    },
                .runtimes = {.own = shared.config.own_runtimes}}),
      service_(manager_) {}

void TasksPart::Name(GrpcListener::NamedServices* named) {
  named->emplace_back(containerd::services::tasks::v1::Tasks::service_full_name(), &service_);
  named->emplace_back(containerd::task::v2::Task::service_full_name(), &shims_v2_);
  named->emplace_back(containerd::task::v3::Task::service_full_name(), &shims_v3_);
}

}  // namespace gantry::daemon
