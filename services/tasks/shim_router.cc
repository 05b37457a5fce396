#include "services/tasks/shim_router.h"

#include "services/tasks/bundle.h"

namespace gantry::tasks {

ShimLauncher& ShimRouter::Of(const std::string& bundle) const {
  const absl::StatusOr<ShimAddress> address = ReadAddress(bundle);
  return address.ok() && !address->binary.empty() ? programs_ : own_;
}

absl::StatusOr<LaunchedShim> ShimRouter::Launch(const LaunchRequest& request) {
  return request.binary.empty() ? own_.Launch(request) : programs_.Launch(request);
}

absl::StatusOr<LaunchedShim> ShimRouter::Reconnect(const std::string& ns, const std::string& id,
                                                   const std::string& bundle) {
  return Of(bundle).Reconnect(ns, id, bundle);
}

void ShimRouter::Forget(const std::string& ns, const std::string& id, const std::string& bundle) {
  Of(bundle).Forget(ns, id, bundle);
}

absl::StatusOr<Exit> ShimRouter::CleanUp(const std::string& ns, const std::string& id,
                                         const std::string& bundle) {
  return Of(bundle).CleanUp(ns, id, bundle);
}

}  // namespace gantry::tasks
