#ifndef GANTRY_DAEMON_TASKS_PART_H_
#define GANTRY_DAEMON_TASKS_PART_H_

#include "base/event_loop.h"
#include "daemon/grpc_listener.h"
#include "daemon/parts.h"
#include "proto/containerd/task/v2/shim.grpc.pb.h"
#include "proto/containerd/task/v3/shim.grpc.pb.h"
#include "runtime/zygote/zygote_client.h"
#include "services/containers/containers.h"
#include "services/snapshots/overlay_snapshotter.h"
#include "services/tasks/binary_launcher.h"
#include "services/tasks/shim_proxy_service.h"
#include "services/tasks/shim_router.h"
#include "services/tasks/task_manager.h"
#include "services/tasks/tasks_service.h"
#include "services/tasks/zygote_launcher.h"

namespace gantry::daemon {

// Tasks: the launcher of shims, the manager, and its service.
class TasksPart {
 public:
  // All outlive this. `overlayfs` may be null: snapshots are elsewhere.
  TasksPart(const Shared& shared, EventLoop& loop, runtime::ZygoteClient& zygote,
            const containers::Containers& containers, snapshots::OverlaySnapshotter* overlayfs);

  // Takes up the tasks of an earlier life. The loop must be running.
  absl::Status Restore() { return manager_.Restore(); }
  void Name(GrpcListener::NamedServices* named);
  [[nodiscard]] tasks::TaskManager& manager() { return manager_; }

 private:
  tasks::ZygoteLauncher own_shims_;
  tasks::BinaryLauncher other_shims_;
  tasks::ShimRouter launcher_{own_shims_, other_shims_};
  tasks::TaskEventPublisher events_;
  tasks::TaskManager manager_;
  tasks::TasksService service_;
  tasks::ShimProxyService shims_v2_{containerd::task::v2::Task::service_full_name(), manager_};
  tasks::ShimProxyService shims_v3_{containerd::task::v3::Task::service_full_name(), manager_};
};

}  // namespace gantry::daemon

#endif  // GANTRY_DAEMON_TASKS_PART_H_
