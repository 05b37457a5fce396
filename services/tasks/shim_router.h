#ifndef GANTRY_SERVICES_TASKS_SHIM_ROUTER_H_
#define GANTRY_SERVICES_TASKS_SHIM_ROUTER_H_

#include <string>

#include "services/tasks/shim.h"

namespace gantry::tasks {

// Both kinds of shims behind one launcher: gantry's own, and those of programs. What a bundle's
// shim is, its address file says. Both outlive this.
class ShimRouter final : public ShimLauncher {
 public:
  ShimRouter(ShimLauncher& own, ShimLauncher& programs) : own_(own), programs_(programs) {}

  absl::StatusOr<LaunchedShim> Launch(const LaunchRequest& request) override;
  absl::StatusOr<LaunchedShim> Reconnect(const std::string& ns, const std::string& id,
                                         const std::string& bundle) override;
  void Forget(const std::string& ns, const std::string& id, const std::string& bundle) override;
  absl::StatusOr<Exit> CleanUp(const std::string& ns, const std::string& id,
                               const std::string& bundle) override;

 private:
  ShimLauncher& Of(const std::string& bundle) const;

  ShimLauncher& own_;
  ShimLauncher& programs_;
};

}  // namespace gantry::tasks

#endif  // GANTRY_SERVICES_TASKS_SHIM_ROUTER_H_
