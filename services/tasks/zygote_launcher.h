#ifndef GANTRY_SERVICES_TASKS_ZYGOTE_LAUNCHER_H_
#define GANTRY_SERVICES_TASKS_ZYGOTE_LAUNCHER_H_

#include <string>

#include "base/event_loop.h"
#include "runtime/zygote/zygote_client.h"
#include "services/tasks/bundle.h"
#include "services/tasks/shim.h"

namespace gantry::tasks {

// Shims forked by the zygote, each on a unix socket that is made here and handed over, so that it
// can be connected to before the shim has run its first line. Loop and zygote outlive this.
class ZygoteLauncher final : public ShimLauncher {
 public:
  // `ttrpc_address`: path of the daemon's ttrpc socket, to which shims forward events.
  ZygoteLauncher(EventLoop& loop, runtime::ZygoteClient& zygote, std::string state_dir,
                 std::string ttrpc_address, bool debug)
      : loop_(loop),
        zygote_(zygote),
        bundles_(std::move(state_dir)),
        ttrpc_address_(std::move(ttrpc_address)),
        debug_(debug) {}

  absl::StatusOr<LaunchedShim> Launch(const LaunchRequest& request) override;
  absl::StatusOr<LaunchedShim> Reconnect(const std::string& ns, const std::string& id,
                                         const std::string& bundle) override;
  void Forget(const std::string& ns, const std::string& id, const std::string& bundle) override;
  absl::StatusOr<Exit> CleanUp(const std::string& ns, const std::string& id,
                               const std::string& bundle) override;

 private:
  // Unavailable: the zygote ended meanwhile.
  absl::StatusOr<LaunchedShim> LaunchOnce(const LaunchRequest& request);
  // Ends the shim that listens at that socket, if one does; it has no task.
  void EndStray(const std::string& ns, const std::string& id);

  EventLoop& loop_;
  runtime::ZygoteClient& zygote_;
  const Bundles bundles_;
  const std::string ttrpc_address_;
  const bool debug_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_ZYGOTE_LAUNCHER_H_
